// SPDX-License-Identifier: Apache-2.0

package checks

func jvmChecks() []Check { return nil }
