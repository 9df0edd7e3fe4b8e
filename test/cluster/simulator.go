// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// simulator plays the kubelets for the pods that have a Behaviour. All it remembers stands in the pods' statuses.
type simulator struct {
	client kubernetes.Interface
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	queue  workqueue.TypedRateLimitingInterface[cache.ObjectName]
	paused atomic.Bool
	log    *log.Logger
	stop   func()
}

// pausedRecheck is how soon a pod is looked at again that could not be played, because of a pause or a dead node.
const pausedRecheck = 200 * time.Millisecond

func startSimulator(client kubernetes.Interface, logPath string) (*simulator, error) {
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the simulator's log: %w", err)
	}
	byLabel := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(
		func(options *metav1.ListOptions) { options.LabelSelector = BehaviourLabel }))
	all := informers.NewSharedInformerFactory(client, 0)
	s := &simulator{
		client: client,
		pods:   byLabel.Core().V1().Pods().Lister(),
		nodes:  all.Core().V1().Nodes().Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](20*time.Millisecond, time.Second)),
		log: log.New(logFile, "", log.LstdFlags|log.Lmicroseconds),
	}
	enqueue := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok {
			s.queue.Add(cache.MetaObjectToName(pod))
		}
	}
	_, err = byLabel.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	})
	if err != nil {
		return nil, fmt.Errorf("cannot watch pods for the simulator: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	byLabel.Start(ctx.Done())
	all.Start(ctx.Done())
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() { s.work(ctx) })
	}
	s.stop = func() {
		cancel()
		s.queue.ShutDown()
		workers.Wait()
		byLabel.Shutdown()
		all.Shutdown()
		_ = logFile.Close()
	}
	return s, nil
}

func (s *simulator) work(ctx context.Context) {
	for {
		name, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		again, err := s.sync(ctx, name)
		switch {
		case err != nil:
			if !apierrors.IsConflict(err) && ctx.Err() == nil {
				s.log.Printf("cannot play pod %s: %v", name, err)
			}
			s.queue.AddRateLimited(name)
		case again > 0:
			s.queue.Forget(name)
			s.queue.AddAfter(name, again)
		default:
			s.queue.Forget(name)
		}
		s.queue.Done(name)
	}
}

// sync brings one pod's status up to date and tells when to look again, 0 for when the pod changes.
func (s *simulator) sync(ctx context.Context, name cache.ObjectName) (time.Duration, error) {
	pod, err := s.pods.Pods(name.Namespace).Get(name.Name)
	if err != nil {
		return 0, nil // gone
	}
	ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
	if pod.Spec.NodeName == "" || pod.DeletionTimestamp != nil || ended ||
		Behaviour(pod.Labels[BehaviourLabel]) == Manual {
		return 0, nil
	}
	node, err := s.nodes.Get(pod.Spec.NodeName)
	if s.paused.Load() || err != nil || node.Labels[kubeletLabel] != kubeletAlive {
		return pausedRecheck, nil
	}
	play, err := newPlay(pod, time.Now())
	if err != nil {
		return 0, err
	}
	status, again, err := play.next()
	if err != nil {
		return 0, err
	}
	if equality.Semantic.DeepEqual(&pod.Status, status) {
		return again, nil
	}
	next := pod.DeepCopy()
	next.Status = *status
	_, err = s.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	return again, err
}
