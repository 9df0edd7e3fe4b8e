// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// maxSentinelMasters bounds how many monitored primaries one sentinel is asked about.
const maxSentinelMasters = 100

// sentinelKind asks a Sentinel by CKQUORUM: its own list of sentinels still shows those that are gone.
func sentinelKind() Kind {
	return Kind{
		Name: "redis_sentinel",
		Help: "One Redis Sentinel: for every primary that it monitors whether it is reachable, whether the sentinels could agree to fail it over, and " +
			"whether there is a replica to fail over to. An account needs +info +sentinel|ckquorum +sentinel|replicas.",
		Port: "26379",
		Options: []Option{
			{Name: "masters", Type: List, Help: "names of primaries that it must monitor; without it, those that it monitors"},
		},
		Facts: []string{
			"role", "members{healthy}", "members_expected", "alarm{tilt}", "fact{monitored_primaries}", "fact{usable_replicas}",
		},
		Verified: Verification{
			Live: []string{"Redis 7.0: three sentinels of a primary with a replica, with accounts"},
		},
		Probe: probeSentinel,
	}
}

func probeSentinel(ctx context.Context, p *Probe) error {
	c, err := p.dialRedis(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	answer, err := c.ask("INFO", "sentinel")
	if err != nil {
		return redisError(err, Protocol)
	}
	info := redisInfo(keyValues(answer.text, ":"))
	if _, ok := info.number("sentinel_masters"); !ok {
		return fail(Mismatch, "it is no sentinel: ask it as redis")
	}
	p.Up()
	p.Role("sentinel")
	p.Alarm("tilt", info["sentinel_tilt"] == "1")
	masters := sentinelMasters(info)
	p.Fact("monitored_primaries", float64(len(masters)))
	if len(masters) == 0 {
		p.Problem(Mismatch, "it monitors no primary")
	}
	for _, wanted := range p.OptionList("masters") {
		if !slices.ContainsFunc(masters, func(m sentinelMaster) bool { return m.name == wanted }) {
			p.Problem(Mismatch, "it monitors no primary named %q", wanted)
		}
	}
	s := sentinelProbe{p, c, p.OptionList("masters"), -1, -1}
	for _, m := range masters[:min(len(masters), maxSentinelMasters)] {
		if len(s.wanted) > 0 && !slices.Contains(s.wanted, m.name) {
			continue
		}
		if err := s.judge(m); err != nil {
			return err
		}
	}
	s.conclude()
	return nil
}

// sentinelMaster is a primary as INFO sentinel shows it.
type sentinelMaster struct{ name, status string }

func sentinelMasters(info redisInfo) []sentinelMaster {
	var masters []sentinelMaster
	for i := range maxSentinelMasters {
		text, ok := info["master"+strconv.Itoa(i)]
		if !ok {
			break
		}
		of := commaPairs(text)
		masters = append(masters, sentinelMaster{of["name"], of["status"]})
	}
	return masters
}

// sentinelProbe is one asking of one sentinel: the fewest of all primaries decide, -1 is not known.
type sentinelProbe struct {
	*Probe
	conn             *respConn
	wanted           []string
	usable, replicas int
}

func (s *sentinelProbe) judge(m sentinelMaster) error {
	if m.status != "ok" {
		s.Problem(Unavailable, "primary %s is %s", m.name, m.status)
	}
	var said replyError
	answer, err := s.conn.ask("SENTINEL", "CKQUORUM", m.name)
	text := answer.text
	switch {
	case err == nil:
	case !errors.As(err, &said):
		return err
	case strings.HasPrefix(string(said), "NOQUORUM"):
		s.Problem(NoQuorum, "primary %s: %s", m.name, string(said))
		text = strings.TrimPrefix(string(said), "NO")
	default:
		s.Unknown("members{healthy}", NoPermission)
		s.Problem(Permission, "CKQUORUM decides the verdict and may not be asked: %v", said)
		text = ""
	}
	if n, ok := usableSentinels(text); ok && (s.usable < 0 || n < s.usable) {
		s.usable = n
	}
	answer, err = s.conn.ask("SENTINEL", "REPLICAS", m.name)
	if err != nil && !errors.As(err, &said) {
		return err
	}
	if err != nil { // SLAVES before Redis 5
		s.Unknown("fact{usable_replicas}", NoPermission)
		return nil
	}
	n := usableReplicas(answer)
	if s.replicas < 0 || n < s.replicas {
		s.replicas = n
	}
	if n == 0 {
		s.Problem(Degraded, "primary %s has no replica to fail over to", m.name)
	}
	return nil
}

func (s *sentinelProbe) conclude() {
	if s.replicas >= 0 {
		s.Fact("usable_replicas", float64(s.replicas))
	}
	if s.usable < 0 {
		s.Unknown("members{healthy}", Unsupported)
	} else {
		s.Members("healthy", s.usable)
	}
	if expected := s.Target.Limits.ExpectedMembers; expected > 0 {
		s.Expected(expected)
		if s.usable >= 0 && s.usable < expected {
			s.Problem(MembersMissing, "%d of %d sentinels are usable", s.usable, expected)
		}
	}
}

// usableSentinels reads the number of "OK 3 usable Sentinels. ..." and of "QUORUM 1 usable Sentinels. ...".
func usableSentinels(text string) (int, bool) {
	words := strings.Fields(text)
	if len(words) < 3 || words[2] != "usable" {
		return 0, false
	}
	n, err := strconv.Atoi(words[1])
	return n, err == nil && n >= 0
}

// usableReplicas counts the replicas that are not down: each is a list of names and values.
func usableReplicas(answer reply) int {
	usable := 0
	for _, replica := range answer.list {
		for i := 0; i+1 < len(replica.list); i += 2 {
			if replica.list[i].text != "flags" {
				continue
			}
			flags := strings.Split(replica.list[i+1].text, ",")
			down := slices.ContainsFunc(flags, func(f string) bool { return f == "s_down" || f == "o_down" || f == "disconnected" })
			if !down {
				usable++
			}
			break
		}
	}
	return usable
}
