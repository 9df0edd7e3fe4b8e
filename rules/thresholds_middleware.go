// SPDX-License-Identifier: Apache-2.0

package rules

func middlewareThresholds() []Threshold {
	return []Threshold{
		{"middleware_error_budget", "StabilityMiddlewareErrorBudgetBurn", "share of the time in which a target may fail to answer: 1 less the objective",
			Share, 0.005, 0.0001, 0.06, []place{
				{"expr", "[1h:1m]\n  ) > 14.4 * «0.005»", number},
				{"expr", "[1d:5m]\n  ) > 3 * «0.005»", number},
			}},
		{"middleware_saturated_share", "StabilityMiddlewareSaturated", "used share of a resource from which on it fires",
			Share, 0.9, 0.1, 1, []place{{"expr", ") >= «0.9»", number}}},
		{"middleware_slow_after", "StabilityMiddlewareSlow", "time that a probe takes above which it fires",
			Duration, 2, 0.01, minute, []place{{"expr", ") > «2»\n", number}}},
		{"middleware_consumers_behind", "StabilityMiddlewareConsumersBehind", "messages that a consumer group is always behind above which it fires, if they become more",
			Count, 1000, 0, 1e12, []place{{"expr", "[30m:1m]) > «1000»", number}}},
		{"middleware_certificate_expires", "StabilityMiddlewareCertificateExpiring", "time left of a certificate below which it warns",
			Duration, 14 * day, hour, 365 * day, []place{{"expr", "time() < «1209600»", number}}},
		{"middleware_certificate_expires_critical", "StabilityMiddlewareCertificateExpiring", "time left of a certificate below which it is critical",
			Duration, 3 * day, minute, 90 * day, []place{
				{"expr", "time() < «259200»", number},
				{"expr", " >= «259200»", number},
			}},
		{"middleware_licence_expires", "StabilityMiddlewareLicenceExpiring", "time left of a licence below which it warns",
			Duration, 30 * day, hour, 730 * day, []place{{"expr", "time() < «2592000»", number}}},
		{"middleware_licence_expires_critical", "StabilityMiddlewareLicenceExpiring", "time left of a licence below which it is critical",
			Duration, 7 * day, minute, 365 * day, []place{
				{"expr", "time() < «604800»", number},
				{"expr", " >= «604800»", number},
			}},
		{"middleware_probes_late_after", "StabilityMiddlewareProbesLate", "age of a target's last probe above which it counts; longer than the longest interval of a probe",
			Duration, 15 * minute, 2 * minute, day, []place{
				{"expr", "> «900»\n", number},
				{"description", "more than «15 minutes»,", period},
			}},
	}
}
