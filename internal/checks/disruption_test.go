// SPDX-License-Identifier: Apache-2.0

package checks

func disruptionCases() caseTable { return nil }
