// SPDX-License-Identifier: Apache-2.0

package checks

func resourceCases() caseTable { return nil }
