// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"fmt"
	"slices"
	"strings"
)

// alertStates are the values of the column State of an alertTable: the higher, the sooner somebody must look.
func alertStates() []object {
	return mapping(text{1, "pending", "yellow"}, text{2, "info", "blue"}, text{3, "warning", "orange"}, text{4, "critical", "red"})
}

// alertTable shows the bundled alerts that have the labels of the given columns, as far as the rules are loaded where the
// data source asks. Matchers may limit them further.
func alertTable(id int, s subject, matchers string, about ...column) panel {
	names := []string{"cluster", "alertname"}
	for _, c := range about {
		names = append(names, c.label)
	}
	s.identity = slices.Compact(names)
	matchers = strings.Trim(`alertname=~"Stability.+",`+matchers, ",")
	state := func(number int, limits string) string {
		return fmt.Sprintf("%s * %d", s.samples("ALERTS{"+matchers+","+limits+"}"), number)
	}
	firing := func(number int, severity string) string {
		return state(number, `alertstate="firing",severity="`+severity+`"`)
	}
	now := s.aggregate("max", strings.Join([]string{
		firing(4, "critical"), firing(3, "warning"), firing(2, "info"), state(1, `alertstate="pending"`),
	}, " or "))
	return table(id, "Alerts", "The bundled alerts about what is selected, those that page first; pending ones fire soon. Nothing stands here "+
		"either while the bundled rules are not loaded.", "State",
		slices.Concat([]column{label("alertname", "Alert"), label("cluster", "Cluster")}, about, []column{
			verdict("State", alertStates(), now),
			age("Since", s.aggregate("min", s.samples("ALERTS_FOR_STATE{"+matchers+"}"))),
		})...).sparsely()
}
