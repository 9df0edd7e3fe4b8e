// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"bufio"
	"strings"
	"testing"
)

func FuzzReadReply(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR no\r\n", ":1\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*2\r\n$1\r\na\r\n*1\r\n-ERR\r\n", "*-1\r\n", "$99999999999\r\n", "*1\r\n*1\r\n*1\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := readReply(bufio.NewReader(strings.NewReader(text)))
		if err == nil && len(r.text) > len(text) {
			t.Errorf("%d bytes of %d", len(r.text), len(text))
		}
	})
}

func FuzzRedisInfo(f *testing.F) {
	f.Add(redisPrimary, threeNodes, sentinelInfo)
	f.Fuzz(func(t *testing.T, info, nodes, sentinel string) {
		p := &Probe{Recorder: &Recorder{}, Target: &Target{Kind: &Kind{}}}
		r := redisProbe{p, nil, keyValues(info, ":")}
		r.tellReplication()
		r.anythingExpires()
		healthy, failed := clusterNodes(nodes)
		if healthy < 0 || failed < 0 {
			t.Error("fewer than no nodes")
		}
		sentinelMasters(keyValues(sentinel, ":"))
		usableSentinels(sentinel)
	})
}
