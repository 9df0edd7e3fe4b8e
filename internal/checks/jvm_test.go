// SPDX-License-Identifier: Apache-2.0

package checks

func jvmCases() caseTable { return nil }
