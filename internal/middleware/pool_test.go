// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stability-exporter/internal/state"
)

// polled is a target without a network: what probe does.
func polled(name string, probe func(context.Context, *Probe) error) *Target {
	return &Target{
		Kind: &Kind{Name: "test", Probe: probe}, Name: name, Address: "127.0.0.1:1", Timeout: 5 * time.Second, Interval: 15 * time.Second,
		Policy: Policy{Configured: true},
	}
}

// counted counts how often it is asked, and is up.
func counted(n *atomic.Int32) func(context.Context, *Probe) error {
	return func(_ context.Context, p *Probe) error {
		n.Add(1)
		p.Up()
		return nil
	}
}

func hangs(ctx context.Context, _ *Probe) error {
	<-ctx.Done()
	return ctx.Err()
}

// background runs a pool until the end of the bubble.
func background(t *testing.T, p *Pool) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		time.Sleep(time.Minute) // what hangs ends with its timeout
	})
}

func viewNamed(p *Pool, name string) *state.MiddlewareView {
	for _, v := range p.Views() {
		if v.Target == name {
			return v
		}
	}
	return nil
}

func TestPoolAsksEachTargetAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var often, seldom atomic.Int32
		fast, slow := polled("fast", counted(&often)), polled("slow", counted(&seldom))
		slow.Interval = 150 * time.Second
		var changes sync.Map
		p := NewPool(nil, func(before, after *state.MiddlewareView) {
			if before == nil {
				changes.Store(after.Target, true)
			}
		})
		p.Use([]*Target{fast, slow}, 0)
		background(t, p)
		time.Sleep(firstWithin)
		synctest.Wait()
		if often.Load() != 1 || seldom.Load() != 1 || len(p.Views()) != 2 {
			t.Errorf("asked %d and %d times at the start", often.Load(), seldom.Load())
		}
		time.Sleep(10 * 150 * time.Second)
		synctest.Wait()
		if n := often.Load(); n < 95 || n > 107 {
			t.Errorf("asked %d times within 100 intervals", n)
		}
		if n := seldom.Load(); n < 10 || n > 12 {
			t.Errorf("asked %d times within 10 intervals", n)
		}
		if _, told := changes.Load("slow"); !told {
			t.Error("the first view was not told")
		}
	})
}

// Half of many targets hang, and there are far fewer places than targets: the others are asked in time all the same.
func TestTargetsThatHangKeepNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []*Target
		var asked atomic.Int32
		for i := range 100 {
			targets = append(targets, polled(fmt.Sprint("hangs", i), hangs), polled(fmt.Sprint("fine", i), counted(&asked)))
		}
		p := NewPool(nil, nil)
		p.Use(targets, 20)
		background(t, p)
		time.Sleep(2 * time.Minute) // the first time it is not known which ones hang
		synctest.Wait()
		before := asked.Load()
		time.Sleep(10 * 15 * time.Second)
		synctest.Wait()
		if n := asked.Load() - before; n < 900 {
			t.Errorf("100 targets were asked %d times within 10 intervals", n)
		}
		if v := viewNamed(p, "hangs7"); v == nil || v.Up || problems(v) != "timeout" || time.Since(time.Unix(int64(v.ProbedAt), 0)) > 2*time.Minute {
			t.Errorf("what hangs is told as %+v", v)
		}
	})
}

func TestNewTargetsTakeThePlaceOfOldOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stays, changes, goes atomic.Int32
		probes := map[string]func(context.Context, *Probe) error{"stays": counted(&stays), "changes": counted(&changes), "goes": counted(&goes)}
		target := func(name, address string) *Target {
			t := polled(name, probes[name])
			t.Address = address
			return t
		}
		p := NewPool(nil, nil)
		p.Use([]*Target{target("stays", "a:1"), target("changes", "a:1"), target("goes", "a:1")}, 0)
		background(t, p)
		time.Sleep(firstWithin)
		synctest.Wait()
		p.Use([]*Target{target("stays", "a:1"), target("changes", "b:1")}, 0)
		if viewNamed(p, "changes") == nil || viewNamed(p, "goes") != nil {
			t.Error("a target that moved is forgotten, or one that is gone is not")
		}
		time.Sleep(firstWithin)
		synctest.Wait()
		if stays.Load() != 1 || changes.Load() != 2 || goes.Load() != 1 {
			t.Errorf("asked %d, %d and %d times, want 1, 2 and 1", stays.Load(), changes.Load(), goes.Load())
		}
		other := target("changes", "b:1")
		other.Kind = &Kind{Name: "other", Probe: hangs}
		p.Use([]*Target{other}, 0)
		if viewNamed(p, "changes") != nil {
			t.Error("what another kind told is still shown")
		}
	})
}

// A target that is asked once an hour is asked again soon when something is wrong with it, and at its interval when it is well again.
func TestDoubtsAreSettledSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		target := polled("seldom", func(_ context.Context, p *Probe) error {
			if asked.Add(1) == 2 {
				return fail(Refused, "just then")
			}
			p.Up()
			return nil
		})
		target.Interval = time.Hour
		p := NewPool(nil, nil)
		p.Use([]*Target{target}, 0)
		background(t, p)
		time.Sleep(70 * time.Minute)
		synctest.Wait()
		if v := viewNamed(p, "seldom"); asked.Load() != 3 || !v.Up {
			t.Errorf("asked %d times within 70 minutes, and it is %+v", asked.Load(), v)
		}
	})
}

func TestWhoAsksAtTheSameTimeSharesTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		target := polled("slow", func(ctx context.Context, p *Probe) error {
			asked.Add(1)
			time.Sleep(2 * time.Second)
			p.Up()
			return nil
		})
		p := NewPool(nil, nil)
		views := make([]*state.MiddlewareView, 3)
		for i := range views {
			go func() {
				patience, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second+time.Millisecond)
				defer cancel()
				views[i], _ = p.Ask(patience, "slow", target)
			}()
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if asked.Load() != 1 {
			t.Errorf("asked %d times", asked.Load())
		}
		if problems(views[0]) != "timeout" || views[0].Up {
			t.Errorf("who waits a second only learns %+v", views[0])
		}
		if !views[1].Up || views[1] != views[2] {
			t.Errorf("the others learn %+v and %+v", views[1], views[2])
		}
	})
}

func TestTooManyDemandsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(nil, nil)
		p.Use(nil, 1)
		go func() { _, _ = p.Ask(t.Context(), "a", polled("a", hangs)) }()
		synctest.Wait()
		patience, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Ask(patience, "b", polled("b", hangs)); !errors.Is(err, ErrBusy) {
			t.Errorf("the error is %v", err)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestGroupsAreToldOnceAllMembersWereAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		a, b := polled("db/a", counted(&asked)), polled("db/b", hangs)
		a.Group, b.Group = "db", "db"
		p := NewPool(nil, nil)
		p.Use([]*Target{b, a}, 0)
		if named := p.Named("db"); len(named) != 2 || named[0] != a {
			t.Errorf("the group is %v", named)
		}
		if len(p.Named("db/b")) != 1 || len(p.Named("d")) != 0 || len(p.Named("")) != 0 || len(p.Targets()) != 2 {
			t.Error("names are not what is known")
		}
		background(t, p)
		time.Sleep(firstWithin)
		synctest.Wait()
		if viewNamed(p, "db/a") == nil || viewNamed(p, "db") != nil {
			t.Error("the group is told before all members were asked")
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if v := viewNamed(p, "db"); v == nil || !v.Up || problems(v) != "members_missing" {
			t.Errorf("the group is %+v", v)
		}
	})
}
