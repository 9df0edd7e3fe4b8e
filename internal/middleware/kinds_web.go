// SPDX-License-Identifier: Apache-2.0

package middleware

func webKinds() []Kind {
	return []Kind{nginxKind(), httpKind(), tcpKind(), tlsKind(), memcachedKind()}
}
