// SPDX-License-Identifier: Apache-2.0

package middleware

func dataKinds() []Kind {
	return []Kind{redisKind(), sentinelKind(), mysqlKind(), postgresKind(), mongodbKind()}
}
