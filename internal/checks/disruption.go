// SPDX-License-Identifier: Apache-2.0

package checks

func disruptionChecks() []Check { return nil }
