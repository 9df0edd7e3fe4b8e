// SPDX-License-Identifier: Apache-2.0

package checks

func serviceCases() caseTable { return nil }
