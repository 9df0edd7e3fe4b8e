// SPDX-License-Identifier: Apache-2.0

package checks

func intervalChecks() []Check { return nil }
