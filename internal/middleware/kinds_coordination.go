// SPDX-License-Identifier: Apache-2.0

package middleware

func coordinationKinds() []Kind {
	return []Kind{etcdKind(), zookeeperKind(), elasticsearchKind(), opensearchKind(), nacosKind()}
}
