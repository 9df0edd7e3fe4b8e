// SPDX-License-Identifier: Apache-2.0

package checks

func intervalCases() caseTable { return nil }
