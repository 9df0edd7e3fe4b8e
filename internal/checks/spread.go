// SPDX-License-Identifier: Apache-2.0

package checks

func spreadChecks() []Check { return nil }
