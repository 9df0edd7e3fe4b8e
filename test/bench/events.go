// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/client-go/kubernetes/scheme"
	restwatch "k8s.io/client-go/rest/watch"
)

// change is one event to come.
type change struct {
	index int // of the pod
	object
}

// churn returns n changes of pods and marshals them beforehand: each pod becomes not ready and, half of the events later,
// ready again. It leaves pods in trouble as they are. A last event, told apart, restarts a container for good.
func (c *cluster) churn(n int) (changes []change, last change) {
	pods := c.resources["pods"]
	changes = make([]change, n/2*2)
	step := max(1, len(c.podOwners)/(n/2))
	pod := 0
	modified := func(s podState) change {
		w := c.workloads[c.podOwners[pod]]
		return change{pod, newObject("MODIFIED", pods.kind, c.pod(pod, w, s))}
	}
	for i := range n / 2 {
		for pod = i * step % len(c.podOwners); c.workloads[c.podOwners[pod]].trouble != none; {
			pod = (pod + 1) % len(c.podOwners)
		}
		usual := c.usual(c.workloads[c.podOwners[pod]], 1)
		unready := usual
		unready.ready = false
		changes[i], changes[n/2+i] = modified(unready), modified(usual)
	}
	restarted := c.usual(c.workloads[c.podOwners[pod]], 1)
	restarted.restarts = 1
	return changes, modified(restarted)
}

// measureEvents sends changes at a steady rate and waits until the exporter shows the last one.
func (r *run) measureEvents(ctx context.Context, c *cluster, res *result) error {
	changes, last := c.churn(r.events)
	before, err := r.scraper.scrape(ctx)
	if err != nil {
		return err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- r.keepProfile(ctx, "profile", fmt.Sprintf("?seconds=%d", max(1, r.events/r.rate))) }()
	start := r.exporter.cpu()
	began := time.Now()
	for i, change := range changes {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(r.rate))
		if ahead := time.Until(due); ahead > time.Millisecond {
			time.Sleep(ahead)
		}
		r.server.modify("pods", change.index, change.object)
	}
	r.server.modify("pods", last.index, last.object)
	const restarts = "stability_container_restarts_total"
	var after *answer
	scrapes := 0
	if err := await(ctx, 10*time.Millisecond, "the last event", func() (bool, error) {
		after, err = r.scraper.scrape(ctx)
		scrapes++
		return err == nil && after.value(restarts) > before.value(restarts), err
	}); err != nil {
		return err
	}
	if err := <-profiled; err != nil {
		return err
	}
	n := float64(len(changes) + 1)
	used := r.exporter.cpu() - start - time.Duration(scrapes)*res.plain.cpu
	each := func(family string, scrape float64) float64 {
		return (after.value(family) - before.value(family) - float64(scrapes)*scrape) / n
	}
	res.eventCPU = time.Duration(float64(used) / n)
	res.eventBytes = each("go_memstats_alloc_bytes_total", res.plain.allocated)
	res.eventObjects = each("go_memstats_mallocs_total", res.plain.objects)
	res.decodeCPU, err = decodeCost(changes)
	return err
}

// decodeCost returns what client-go alone needs to read one event of those the exporter got: the floor under any program
// that decodes whole objects.
func decodeCost(changes []change) (time.Duration, error) {
	var frames bytes.Buffer
	for _, change := range changes {
		frames.Write(change.frame)
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), protobufType)
	reader := info.StreamSerializer.Framer.NewFrameReader(io.NopCloser(&frames))
	decoder := restwatch.NewDecoder(streaming.NewDecoder(reader, info.StreamSerializer.Serializer),
		scheme.Codecs.WithoutConversion().DecoderToVersion(info.Serializer, nil))
	start := ownCPU()
	for i := range changes {
		if _, _, err := decoder.Decode(); err != nil {
			return 0, fmt.Errorf("cannot decode event %d: %w", i, err)
		}
	}
	return (ownCPU() - start) / time.Duration(len(changes)), nil
}

// ownCPU returns the processor time that this process has used.
func ownCPU() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used) // fails only for a wrong argument
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
