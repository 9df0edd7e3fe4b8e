// SPDX-License-Identifier: Apache-2.0

package middleware

func webKinds() []Kind {
	return []Kind{nginxKind(), haproxyKind(), httpKind(), tcpKind(), tlsKind(), memcachedKind()}
}
