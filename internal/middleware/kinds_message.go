// SPDX-License-Identifier: Apache-2.0

package middleware

func messageKinds() []Kind { return []Kind{rabbitmqKind(), kafkaKind(), rocketmqKind()} }
