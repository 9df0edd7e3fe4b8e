// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"

	"stability-exporter/test/sandbox"
)

// zones by name have so many nodes, which only take the pods of one test.
func zones() map[string]int {
	return map[string]int{
		drainZone: 3, changeZone: 3, rebootZone: 3,
		"lonely": 2, "half": 4, "lost": 2, "drained": 3, "sick": 2, "restless-east": 1, "restless-west": 1, "crashing": 3,
	}
}

func (s *suite) reserveZones(ctx context.Context) error {
	for zone, nodes := range zones() {
		if _, err := sandbox.ReserveNodes(ctx, s.cluster, nodes, zone); err != nil {
			return err
		}
	}
	return nil
}
