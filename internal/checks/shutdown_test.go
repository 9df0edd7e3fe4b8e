// SPDX-License-Identifier: Apache-2.0

package checks

func shutdownCases() caseTable { return nil }
