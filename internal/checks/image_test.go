// SPDX-License-Identifier: Apache-2.0

package checks

func imageCases() caseTable { return nil }
