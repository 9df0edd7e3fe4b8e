// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"stability-exporter/test/cluster"
	"stability-exporter/test/exporterproc"
	"stability-exporter/test/sandbox"
)

// freshness is how long after a change the exporter may still show what was before.
const freshness = 2 * time.Second

// auditor compares all the time, whatever the tests do, what the API server holds and kubectl prints with what the
// exporter shows. Things change while they are looked at, so an object is compared only when it has the same resource
// version before and after a scrape that begins a while after the first look.
type auditor struct {
	cluster *cluster.Cluster
	watch   *watcher

	mu       sync.Mutex
	found    complaints
	compared map[string]int // by kind of fact
	done     chan struct{}
}

// fact is what the exporter has to show of one thing.
type fact struct {
	kind, namespace, name string
	version               string // changes whenever the fact may change
	holds                 func(exporterproc.Metrics) error
}

func newAuditor(ctx context.Context, c *cluster.Cluster, w *watcher) *auditor {
	a := &auditor{cluster: c, watch: w, found: complaints{}, compared: map[string]int{}, done: make(chan struct{})}
	go a.run(ctx)
	return a
}

func (a *auditor) run(ctx context.Context) {
	defer close(a.done)
	var before map[string]fact
	for ctx.Err() == nil {
		taken := time.Now()
		metrics, err := a.watch.await(ctx, taken.Add(freshness), "a scrape", func(exporterproc.Metrics) error { return nil })
		if err != nil {
			break
		}
		now, err := a.facts(ctx)
		if ctx.Err() != nil {
			break
		}
		a.compare(metrics, before, now, err)
		before = now
	}
}

func (a *auditor) compare(m exporterproc.Metrics, before, after map[string]fact, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.found.add("", err.Error())
	}
	for key, was := range before {
		if is := after[key]; is.version != was.version || was.version == "" {
			continue
		}
		a.compared[was.kind]++
		if err := was.holds(m); err != nil {
			a.found.add(was.namespace, fmt.Sprintf("%s %s is not what kubectl shows: %v", was.kind, was.name, err))
		}
	}
}

func (a *auditor) complaints(namespace string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found.take(namespace)
}

// finish waits for the end of the audit and returns the complaints that no test has taken.
func (a *auditor) finish() error {
	<-a.done
	fmt.Printf("comparisons with kubectl: %v\n", a.compared)
	return a.found.rest()
}

// world is everything the facts are drawn from.
type world struct {
	nodes        *corev1.NodeList
	pods         *corev1.PodList
	printed      map[string]printedPod // by namespace/name
	deployments  *appsv1.DeploymentList
	replicaSets  *appsv1.ReplicaSetList
	statefulSets *appsv1.StatefulSetList
	daemonSets   *appsv1.DaemonSetList
	services     *corev1.ServiceList
	slices       *discoveryv1.EndpointSliceList
	budgets      *policyv1.PodDisruptionBudgetList
	autoscalers  *autoscalingv2.HorizontalPodAutoscalerList
	cronJobs     *batchv1.CronJobList
	jobs         *batchv1.JobList
}

func (a *auditor) facts(ctx context.Context) (map[string]fact, error) {
	w, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(w.nodeFacts(), w.replicaFacts(), w.podFacts(), w.serviceFacts(), w.budgetFacts(), w.otherFacts())
	staying, err := a.stayingNamespaces(ctx)
	if err != nil {
		return nil, err
	}
	facts := map[string]fact{}
	for _, f := range all {
		if f.namespace == "" || staying[f.namespace] {
			facts[f.kind+" "+f.namespace+"/"+f.name] = f
		}
	}
	return facts, nil
}

// stayingNamespaces are not being deleted: of what the others still hold nothing is told.
func (a *auditor) stayingNamespaces(ctx context.Context) (map[string]bool, error) {
	list, err := a.cluster.Client().CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("cannot list the namespaces: %w", err)
	}
	staying := map[string]bool{}
	for _, namespace := range list.Items {
		staying[namespace.Name] = namespace.DeletionTimestamp == nil
	}
	return staying, nil
}

// look lists the pods before kubectl prints them: what has the same version in the next look was printed as it is.
func (a *auditor) look(ctx context.Context) (*world, error) {
	c, all, w := a.cluster.Client(), metav1.ListOptions{}, &world{}
	var errs [13]error
	w.nodes, errs[0] = c.CoreV1().Nodes().List(ctx, all)
	w.pods, errs[1] = c.CoreV1().Pods("").List(ctx, all)
	w.deployments, errs[2] = c.AppsV1().Deployments("").List(ctx, all)
	w.replicaSets, errs[3] = c.AppsV1().ReplicaSets("").List(ctx, all)
	w.statefulSets, errs[4] = c.AppsV1().StatefulSets("").List(ctx, all)
	w.daemonSets, errs[5] = c.AppsV1().DaemonSets("").List(ctx, all)
	w.services, errs[6] = c.CoreV1().Services("").List(ctx, all)
	w.slices, errs[7] = c.DiscoveryV1().EndpointSlices("").List(ctx, all)
	w.budgets, errs[8] = c.PolicyV1().PodDisruptionBudgets("").List(ctx, all)
	w.autoscalers, errs[9] = c.AutoscalingV2().HorizontalPodAutoscalers("").List(ctx, all)
	w.cronJobs, errs[10] = c.BatchV1().CronJobs("").List(ctx, all)
	w.jobs, errs[11] = c.BatchV1().Jobs("").List(ctx, all)
	w.printed, errs[12] = printPods(ctx, a.cluster)
	return w, errors.Join(errs[:]...)
}

// printedPod is what kubectl get pods prints of a pod.
type printedPod struct{ ready, status string }

func printPods(ctx context.Context, c *cluster.Cluster) (map[string]printedPod, error) {
	out, err := sandbox.Kubectl(ctx, c, "get", "pods", "--all-namespaces", "--no-headers")
	if err != nil {
		return nil, err
	}
	printed := map[string]printedPod{}
	for line := range strings.Lines(out) {
		// NAMESPACE NAME READY STATUS RESTARTS [(5s ago)] AGE
		if fields := strings.Fields(line); len(fields) >= 6 {
			printed[fields[0]+"/"+fields[1]] = printedPod{ready: fields[2], status: fields[3]}
		}
	}
	return printed, nil
}

// catchesAnEye is the reason for which a person would look twice at the line, and "" for a line in good order.
func (p printedPod) catchesAnEye() string {
	ready, total, _ := strings.Cut(p.ready, "/")
	reason, init := strings.CutPrefix(p.status, "Init:")
	reason, _, _ = strings.Cut(reason, ":")
	switch {
	case p.status == "Completed", p.status == "Running" && ready == total:
		return ""
	case p.status == "Running":
		return "NotReady"
	case init && strings.Contains(reason, "/"):
		return "Init"
	}
	return reason
}

func (w *world) nodeFacts() []fact {
	var facts []fact
	zones, versions := map[string]float64{}, map[string]string{}
	for _, node := range w.nodes.Items {
		zone := node.Labels[corev1.LabelTopologyZone]
		zones[zone]++
		versions[zone] += node.ResourceVersion + " "
		ready := 0.0
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready = 1
			}
		}
		labels := []string{"node", node.Name, "zone", zone}
		facts = append(facts, fact{"node", "", node.Name, node.ResourceVersion, func(m exporterproc.Metrics) error {
			return errors.Join(m.Expect(ready, "stability_node_ready", labels...),
				m.Expect(one(node.Spec.Unschedulable), "stability_node_cordoned", labels...))
		}})
	}
	for zone, nodes := range zones {
		facts = append(facts, fact{"zone", "", zone, versions[zone], func(m exporterproc.Metrics) error {
			if sum := m.Sum("stability_zone_nodes", "zone", zone); sum != nodes {
				return fmt.Errorf("the nodes of the zone add up to %v, want %v", sum, nodes)
			}
			return nil
		}})
	}
	return facts
}

func one(condition bool) float64 {
	if condition {
		return 1
	}
	return 0
}

// replicaFacts are the columns of kubectl get deployments, statefulsets and daemonsets.
func (w *world) replicaFacts() []fact {
	var facts []fact
	for _, d := range w.deployments.Items {
		s := d.Status
		facts = append(facts, replicas("deployment", &d.ObjectMeta, d.Spec.Paused,
			*d.Spec.Replicas, s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas))
	}
	for _, d := range w.statefulSets.Items {
		s := d.Status
		facts = append(facts, replicas("statefulset", &d.ObjectMeta, false,
			*d.Spec.Replicas, s.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.AvailableReplicas))
	}
	for _, d := range w.daemonSets.Items {
		s := d.Status
		facts = append(facts, replicas("daemonset", &d.ObjectMeta, false,
			s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.UpdatedNumberScheduled, s.NumberReady, s.NumberAvailable))
	}
	return facts
}

func replicas(kind string, meta *metav1.ObjectMeta, paused bool, columns ...int32) fact {
	labels := []string{"namespace", meta.Namespace, "workload", meta.Name, "workload_type", kind}
	return fact{kind, meta.Namespace, meta.Name, meta.ResourceVersion, func(m exporterproc.Metrics) error {
		var errs []error
		for i, column := range []string{"desired", "current", "updated", "ready", "available"} {
			errs = append(errs, m.Expect(float64(columns[i]), "stability_workload_"+column+"_replicas", labels...))
		}
		if paused {
			errs = append(errs, m.Expect(1, "stability_workload_paused", labels...))
		} else {
			errs = append(errs, m.ExpectNone("stability_workload_paused", labels...))
		}
		return errors.Join(errs...)
	}}
}

// podsOf is a workload with all its pods, in the order of their names.
type podsOf struct {
	kind, namespace, name string
	desired               int32
	version               string
	pods                  []corev1.Pod
}

func (w *world) workloads() []*podsOf {
	byUID := map[string]*podsOf{}
	add := func(kind string, m *metav1.ObjectMeta, desired int32) {
		byUID[string(m.UID)] = &podsOf{kind: kind, namespace: m.Namespace, name: m.Name, desired: desired, version: m.ResourceVersion}
	}
	for _, d := range w.deployments.Items {
		add("deployment", &d.ObjectMeta, *d.Spec.Replicas)
	}
	for _, d := range w.statefulSets.Items {
		add("statefulset", &d.ObjectMeta, *d.Spec.Replicas)
	}
	for _, d := range w.daemonSets.Items {
		add("daemonset", &d.ObjectMeta, d.Status.DesiredNumberScheduled)
	}
	workloads := slices.Collect(maps.Values(byUID))
	for _, d := range w.replicaSets.Items {
		if owner := metav1.GetControllerOf(&d); owner != nil && byUID[string(owner.UID)] != nil {
			byUID[string(d.UID)] = byUID[string(owner.UID)]
		}
	}
	for _, pod := range w.pods.Items {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil || byUID[string(owner.UID)] == nil {
			continue
		}
		of := byUID[string(owner.UID)]
		of.pods = append(of.pods, pod)
		of.version += " " + pod.Name + "=" + pod.ResourceVersion
	}
	return workloads
}

// podFacts are what kubectl get pods shows of the pods of each workload, and where they run.
func (w *world) podFacts() []fact {
	zoneOf := map[string]string{}
	for _, node := range w.nodes.Items {
		zoneOf[node.Name] = node.Labels[corev1.LabelTopologyZone]
	}
	var facts []fact
	for _, of := range w.workloads() {
		labels := []string{"namespace", of.namespace, "workload", of.name, "workload_type", of.kind}
		abnormal, zones, nodes := map[string]float64{}, map[string]float64{}, map[string]float64{}
		restarts := 0.0
		for _, pod := range of.pods {
			if reason := w.printed[pod.Namespace+"/"+pod.Name].catchesAnEye(); reason != "" {
				abnormal[reason]++
			}
			if isAvailable(&pod) {
				zones[zoneOf[pod.Spec.NodeName]]++
				nodes[pod.Spec.NodeName]++
			}
			for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
				restarts += float64(status.RestartCount)
			}
		}
		facts = append(facts, fact{"pods of " + of.kind, of.namespace, of.name, of.version, func(m exporterproc.Metrics) error {
			return errors.Join(sameCounts(m, abnormal, "stability_workload_abnormal_pods", "reason", labels),
				atLeast(m, restarts, "stability_container_restarts_total", labels))
		}})
		if of.desired > 0 {
			facts = append(facts, fact{"places of " + of.kind, of.namespace, of.name, of.version, func(m exporterproc.Metrics) error {
				return errors.Join(sameCounts(m, zones, "stability_workload_zone_available_replicas", "zone", labels),
					survives(m, zones, of.desired, "zone", labels), survives(m, nodes, of.desired, "node", labels))
			}})
		}
	}
	return facts
}

// isAvailable holds for workloads without minReadySeconds, and none has them here.
func isAvailable(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return false
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// sameCounts compares the samples of a family by one label; zeros count as no sample.
func sameCounts(m exporterproc.Metrics, want map[string]float64, name, label string, labels []string) error {
	got := map[string]float64{}
	for _, s := range m.Select(name, labels...) {
		if s.Value != 0 {
			got[s.Labels[label]] = s.Value
		}
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%s is %v, want %v", name, got, want)
	}
	return nil
}

func atLeast(m exporterproc.Metrics, want float64, name string, labels []string) error {
	if got := m.Sum(name, labels...); got < want {
		return fmt.Errorf("%s adds up to %v, want at least %v", name, got, want)
	}
	return nil
}

func survives(m exporterproc.Metrics, available map[string]float64, desired int32, topology string, labels []string) error {
	sum, most := 0.0, 0.0
	for _, n := range available {
		sum, most = sum+n, max(most, n)
	}
	return m.Expect(min(1, (sum-most)/float64(desired)), "stability_workload_survivable_ratio", append(labels, "topology", topology)...)
}

func (w *world) serviceFacts() []fact {
	var facts []fact
	for _, service := range w.services.Items {
		if len(service.Spec.Selector) == 0 {
			continue
		}
		version, serving := service.ResourceVersion, map[string]bool{}
		for _, slice := range w.slices.Items {
			if slice.Namespace != service.Namespace || slice.Labels[discoveryv1.LabelServiceName] != service.Name {
				continue
			}
			version += " " + slice.Name + "=" + slice.ResourceVersion
			for _, endpoint := range slice.Endpoints {
				if c := endpoint.Conditions; len(slice.Ports) > 0 && c.Serving != nil && *c.Serving && (c.Terminating == nil || !*c.Terminating) {
					serving[endpoint.TargetRef.Name] = true
				}
			}
		}
		labels := []string{"namespace", service.Namespace, "service", service.Name}
		facts = append(facts, fact{"service", service.Namespace, service.Name, version, func(m exporterproc.Metrics) error {
			err := m.Expect(float64(len(serving)), "stability_service_ready_endpoints", labels...)
			return errors.Join(err, presentIf(m, len(serving) == 0, "stability_service_no_endpoints", labels))
		}})
	}
	return facts
}

// presentIf wants one sample of 1 if the condition holds, and none if it does not.
func presentIf(m exporterproc.Metrics, condition bool, name string, labels []string) error {
	if condition {
		return m.Expect(1, name, labels...)
	}
	return m.ExpectNone(name, labels...)
}

// budgetFacts are the column ALLOWED DISRUPTIONS of kubectl get poddisruptionbudgets; no two budgets overlap here.
func (w *world) budgetFacts() []fact {
	var facts []fact
	for _, b := range w.budgets.Items {
		labels := []string{"namespace", b.Namespace, "poddisruptionbudget", b.Name}
		facts = append(facts, fact{"budget", b.Namespace, b.Name, b.ResourceVersion, func(m exporterproc.Metrics) error {
			return presentIf(m, b.Status.DisruptionsAllowed == 0, "stability_pdb_blocking", labels)
		}})
	}
	return facts
}

func (w *world) otherFacts() []fact {
	var facts []fact
	for _, h := range w.autoscalers.Items {
		reason := ""
		for _, condition := range h.Status.Conditions {
			if condition.Type == autoscalingv2.ScalingLimited && condition.Status == corev1.ConditionTrue {
				reason = condition.Reason
			}
		}
		labels := []string{"namespace", h.Namespace, "horizontalpodautoscaler", h.Name}
		facts = append(facts, fact{"autoscaler", h.Namespace, h.Name, h.ResourceVersion, func(m exporterproc.Metrics) error {
			err := presentIf(m, reason != "", "stability_hpa_limited", labels)
			return errors.Join(err, presentIf(m, reason != "", "stability_hpa_limited", append(labels, "reason", reason)))
		}})
	}
	for _, c := range w.cronJobs.Items {
		var last *batchv1.Job
		version := c.ResourceVersion
		for i := range w.jobs.Items {
			job := &w.jobs.Items[i]
			if !metav1.IsControlledBy(job, &c) {
				continue
			}
			version += " " + job.Name + "=" + job.ResourceVersion
			if isFinished(job) && (last == nil || job.CreationTimestamp.After(last.CreationTimestamp.Time)) {
				last = job
			}
		}
		labels := []string{"namespace", c.Namespace, "workload", c.Name, "workload_type", "cronjob"}
		facts = append(facts, fact{"cronjob", c.Namespace, c.Name, version, func(m exporterproc.Metrics) error {
			if last == nil {
				return m.ExpectNone("stability_cronjob_last_run_failed", labels...)
			}
			return m.Expect(one(last.Status.Succeeded == 0), "stability_cronjob_last_run_failed", labels...)
		}})
	}
	return facts
}

func isFinished(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		if (condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed) && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
