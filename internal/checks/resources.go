// SPDX-License-Identifier: Apache-2.0

package checks

func resourceChecks() []Check { return nil }
