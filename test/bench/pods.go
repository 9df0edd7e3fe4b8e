// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podState is what changes in the life of a pod.
type podState struct {
	trouble  trouble
	ready    bool
	restarts int32
	since    time.Time
}

// pod returns a pod as a Deployment makes one and a kubelet reports it: two containers and an init container, 22
// environment variables, probes, five conditions, two entries of managed fields; 8.8 kB of protobuf.
func (c *cluster) pod(number int, w workload, s podState) *corev1.Pod {
	hash := w.revision(0)
	labels := w.labels()
	labels["pod-template-hash"] = hash
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: fmt.Sprintf("%s-%s-%05d", w.name, hash, number%100_000), GenerateName: w.name + "-" + hash + "-",
			UID: uid("pod", number), ResourceVersion: fmt.Sprint(900_000 + number), CreationTimestamp: metav1.NewTime(s.since), Generation: 1,
			Labels: labels, OwnerReferences: controller("apps/v1", "ReplicaSet", w.name+"-"+hash, uid("replicaset 0", w.index)),
			Annotations: map[string]string{
				"checksum/config": hash64(w.name), "checksum/secret": hash64(w.namespace), "prometheus.io/scrape": "true",
				"prometheus.io/port": "9090", "kubectl.kubernetes.io/restartedAt": "2026-09-14T08:21:44+02:00",
			},
			ManagedFields: []metav1.ManagedFieldsEntry{
				managed("kube-controller-manager", "", specFields, s.since), managed("kubelet", "status", statusFields, s.since),
			},
		},
		Spec: podSpec(w),
	}
	if s.trouble != unschedulable {
		pod.Spec.NodeName = nodeName(nodeOf(number, c.nodes()))
	}
	pod.Status = podStatus(pod, number, nodeOf(number, c.nodes()), s)
	return pod
}

func hash64(text string) string { return hash(64, text) }

func podSpec(w workload) corev1.PodSpec {
	grace, yes, no, user := int64(45), true, false, int64(10001)
	app := container("app", "registry.example.org/shop/"+w.name+":4.17.2", "500m", "768Mi")
	app.Env = environment(w, 16)
	proxy := container("proxy", "registry.example.org/platform/envoy:1.31.4", "100m", "128Mi")
	proxy.Env = environment(w, 4)
	migrate := container("migrate", "registry.example.org/shop/"+w.name+":4.17.2", "100m", "128Mi")
	migrate.Env = environment(w, 2)
	migrate.LivenessProbe, migrate.ReadinessProbe, migrate.StartupProbe = nil, nil, nil
	return corev1.PodSpec{
		InitContainers: []corev1.Container{migrate}, Containers: []corev1.Container{app, proxy},
		Volumes: volumes(w), RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace,
		DNSPolicy: corev1.DNSClusterFirst, ServiceAccountName: w.name, DeprecatedServiceAccount: w.name, EnableServiceLinks: &no,
		SecurityContext:   &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, FSGroup: &user},
		ImagePullSecrets:  []corev1.LocalObjectReference{{Name: "registry-credentials"}},
		SchedulerName:     corev1.DefaultSchedulerName,
		PriorityClassName: "production",
		Tolerations: []corev1.Toleration{
			{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &grace},
			{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &grace},
		},
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{
			MaxSkew: 1, TopologyKey: corev1.LabelTopologyZone, WhenUnsatisfiable: corev1.ScheduleAnyway,
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": w.name}},
		}},
	}
}

func container(name, image, cpu, memory string) corev1.Container {
	amounts := corev1.ResourceList{corev1.ResourceCPU: quantity.MustParse(cpu), corev1.ResourceMemory: quantity.MustParse(memory)}
	yes, no := true, false
	probe := func(path string, threshold int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Path: path, Port: intstr.FromString("http"), Scheme: corev1.URISchemeHTTP,
			}},
			InitialDelaySeconds: 5, TimeoutSeconds: 2, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: threshold,
		}
	}
	return corev1.Container{
		Name: name, Image: image, ImagePullPolicy: corev1.PullIfNotPresent,
		Args:      []string{"--config=/etc/" + name + "/config.yaml", "--log.level=info"},
		Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		Resources: corev1.ResourceRequirements{Requests: amounts, Limits: amounts},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "config", MountPath: "/etc/" + name, ReadOnly: true}, {Name: "tmp", MountPath: "/tmp"},
			{Name: "kube-api-access", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true},
		},
		LivenessProbe: probe("/healthz", 3), ReadinessProbe: probe("/readyz", 3), StartupProbe: probe("/healthz", 30),
		TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

func environment(w workload, n int) []corev1.EnvVar {
	var all []corev1.EnvVar
	for i := range n {
		v := corev1.EnvVar{Name: fmt.Sprintf("SHOP_SETTING_%02d", i)}
		switch i % 4 {
		case 0:
			v.Value = fmt.Sprintf("https://service-%02d.%s.svc.cluster.local:8443", i, w.namespace)
		case 1:
			v.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: w.name + "-credentials"}, Key: "password",
			}}
		case 2:
			v.ValueFrom = &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}
		default:
			v.Value = "true"
		}
		all = append(all, v)
	}
	return all
}

func volumes(w workload) []corev1.Volume {
	mode, seconds := int32(0o644), int64(3607)
	return []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: w.name + "-config"}, DefaultMode: &mode,
		}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "kube-api-access", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: &mode,
			Sources: []corev1.VolumeProjection{
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
					Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
				}},
			},
		}}},
	}
}

func podStatus(pod *corev1.Pod, number, node int, s podState) corev1.PodStatus {
	if s.trouble == unschedulable {
		return corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSGuaranteed, Conditions: []corev1.PodCondition{
			condition(corev1.PodScheduled, false, s.since, corev1.PodReasonUnschedulable,
				"0/200 nodes are available: 200 Insufficient cpu. preemption: 0/200 nodes are available: 200 No preemption victims found."),
		}}
	}
	started, ip := metav1.NewTime(s.since), fmt.Sprintf("10.%d.%d.%d", 128+number/62500, number/250%250, number%250)
	why := ""
	if !s.ready {
		why = "ContainersNotReady"
	}
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: fmt.Sprintf("10.0.%d.%d", node/250, node%250), PodIP: ip, StartTime: &started,
		PodIPs: []corev1.PodIP{{IP: ip}}, HostIPs: []corev1.HostIP{{IP: ip}}, QOSClass: corev1.PodQOSGuaranteed, ObservedGeneration: 1,
		Conditions: []corev1.PodCondition{
			condition(corev1.PodReadyToStartContainers, true, s.since, "", ""),
			condition(corev1.PodInitialized, true, s.since, "", ""),
			condition(corev1.PodReady, s.ready, s.since, why, ""),
			condition(corev1.ContainersReady, s.ready, s.since, why, ""),
			condition(corev1.PodScheduled, true, s.since, "", ""),
		},
	}
	for i := range pod.Spec.InitContainers {
		c := containerStatus(&pod.Spec.InitContainers[i], podState{since: s.since})
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: started, FinishedAt: started, ContainerID: c.ContainerID,
		}}
		c.Ready = true
		status.InitContainerStatuses = append(status.InitContainerStatuses, c)
	}
	for i := range pod.Spec.Containers {
		of := s
		if i > 0 {
			of.trouble, of.restarts, of.ready = none, 0, true
		}
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(&pod.Spec.Containers[i], of))
	}
	return status
}

func containerStatus(spec *corev1.Container, s podState) corev1.ContainerStatus {
	started := true
	status := corev1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, ImageID: spec.Image + "@sha256:" + hash64(spec.Image), Ready: s.ready, RestartCount: s.restarts,
		ContainerID: "containerd://" + hash64(spec.Name+s.since.String()), Started: &started,
		State:              corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(s.since)}},
		AllocatedResources: spec.Resources.Requests, Resources: &spec.Resources,
		User: &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{UID: 10001, GID: 10001, SupplementalGroups: []int64{10001}}},
	}
	for _, mount := range spec.VolumeMounts {
		status.VolumeMounts = append(status.VolumeMounts, corev1.VolumeMountStatus{
			Name: mount.Name, MountPath: mount.MountPath, ReadOnly: mount.ReadOnly,
		})
	}
	switch s.trouble {
	case crashLoop:
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container=" + spec.Name,
		}}
		status.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			Reason: "OOMKilled", ExitCode: 137, StartedAt: metav1.NewTime(s.since), FinishedAt: metav1.NewTime(s.since.Add(time.Minute)),
		}
	case imagePull:
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "ImagePullBackOff", Message: "Back-off pulling image " + spec.Image,
		}}
	}
	return status
}
