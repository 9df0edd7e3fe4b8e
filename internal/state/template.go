// SPDX-License-Identifier: Apache-2.0

package state

import "time"

// Template is what the pods of a workload are made from, reduced to what decides how well they run: probes, ports,
// resources, spread, and the few settings that are judged. It is never changed once made; an update of the object that
// leaves the template alone keeps the same one.
type Template struct {
	Labels      Labels
	HostNetwork bool
	RunsToEnd   bool          // restartPolicy is not Always: the pods of Jobs
	Grace       time.Duration // terminationGracePeriodSeconds
	// Pinned says that a nodeName, a nodeSelector or a required node affinity leaves it a part of the nodes. The operating system and the
	// architecture (kubernetes.io/os, kubernetes.io/arch) do not count: all nodes of most clusters have the same.
	Pinned     bool
	Containers []ContainerSpec
	Spread     []SpreadTerm
	// Dropped are keys of probes that somebody applied and the API server threw away (annotation
	// kubectl.kubernetes.io/last-applied-configuration).
	Dropped []DroppedField
}

// ContainerSpec is one container of a template; init containers come first, as the spec orders them.
type ContainerSpec struct {
	Name      Symbol
	Type      ContainerType
	Image     Image
	Ports     []Port
	Liveness  *Probe // nil when there is none; so are the two others
	Readiness *Probe
	Startup   *Probe
	PreStop   Hook
	Requests  Resources
	Limits    Resources
	Java      bool // its command or arguments start a JVM, as far as they tell
	// Settings are those of its environment, its arguments and its JVM options that are judged, in the order in which they are written.
	Settings []Setting
	// References are environment variables whose value stands in a ConfigMap, whole ConfigMaps (envFrom), and mounted files.
	References []Reference
}

// Probes returns the three probes under their label values; absent ones are nil.
func (c *ContainerSpec) Probes() [3]*Probe { return [3]*Probe{c.Liveness, c.Readiness, c.Startup} }

// ProbeTypes are the values of the label probe_type, as the kubelet's own metrics spell them, in the order of
// ContainerSpec.Probes.
var ProbeTypes = [3]string{"Liveness", "Readiness", "Startup"}

// Image is the reference of a container image, without its registry.
type Image struct {
	Repository Symbol // "library/nginx" and "nginx" stay as written
	Tag        Symbol // empty when none is written: latest is meant then
	Digest     bool   // pinned by a digest, whatever the tag says
}

// Port is a port that a container declares.
type Port struct {
	Name     Symbol
	Number   int32
	HostPort int32 // zero: none; with HostNetwork it equals Number
	UDP      bool  // any protocol but TCP
}

// Handler is how a probe asks.
type Handler uint8

// The handlers of a probe.
const (
	HandlerNone Handler = iota // a manifest that no API server would accept
	HandlerHTTP
	HandlerTCP
	HandlerGRPC
	HandlerExec
)

// Probe is a probe with the defaults of the API filled in (timeout 1s, period 10s, success 1, failure 3).
type Probe struct {
	Handler  Handler
	Host     Symbol // empty: the pod itself
	Path     Symbol // HTTP
	HTTPS    bool
	Headers  UID    // a hash of the headers: they may hold credentials
	PortName Symbol // empty when the port is a number
	Port     int32
	Service  Symbol // gRPC
	Command  []string

	InitialDelay time.Duration
	Period       time.Duration
	Timeout      time.Duration
	Success      int32
	Failure      int32
	Grace        time.Duration // terminationGracePeriodSeconds of the probe; zero when it has none
}

// Hook is a preStop hook.
type Hook struct {
	Handler Handler
	// Native says that it is a sleep action, which the kubelet does itself.
	Native bool
	// Sleep is how long it surely sleeps: the sleep action, or an exec whose words are sleep N, also within sh -c. Zero when that is not known.
	Sleep time.Duration
}

// Quantity is a resource quantity in thousandths of its unit (cores, bytes), so that 512m of memory is told from 512.
type Quantity struct {
	Set   bool
	Milli int64 // at most math.MaxInt64: more is written as that
}

// Resources are the requests or the limits of a container.
type Resources struct{ CPU, Memory Quantity }

// SpreadKind is what a template asks of the places of its pods.
type SpreadKind uint8

// The kinds of spread terms.
const (
	AntiAffinityRequired SpreadKind = iota
	AntiAffinityPreferred
	SpreadDoNotSchedule // topologySpreadConstraints, whenUnsatisfiable
	SpreadScheduleAnyway
)

// SpreadTerm is one pod anti-affinity term or topology spread constraint.
type SpreadTerm struct {
	Kind        SpreadKind
	TopologyKey Symbol
	Selector    Selector // nil selects nothing
	// OtherNamespaces says that the term names namespaces that do not include the pod's own.
	OtherNamespaces bool
	// OwnRevision says that the term concerns pods of one revision only (matchLabelKeys has pod-template-hash or
	// controller-revision-hash): pods of the old template do not stand in the way of the new one's.
	OwnRevision bool
}

// DroppedField is a key of a probe that is no field of a Probe.
type DroppedField struct {
	Container Symbol
	ProbeType string // of ProbeTypes
	Field     Symbol
}

// SettingSource says where a setting stands. Of two that set the same, the one of the higher source is in effect
// (Spring Boot reference, "Externalized Configuration"; java launcher).
type SettingSource uint8

// The sources of settings, lowest precedence first.
const (
	FromFile     SettingSource = iota // a file of a mounted ConfigMap
	FromEnv                           // an environment variable, literal or from a ConfigMap
	FromJVM                           // an option of the JVM: -Xmx512m, or -Dkey=value (system property)
	FromJSON                          // SPRING_APPLICATION_JSON
	FromArgument                      // --key=value
)

// Setting is a key and a value that somebody wrote and that are judged: everything else is dropped when an object is
// converted. Neither ever comes from a Secret.
type Setting struct {
	Source SettingSource
	Where  Symbol // the variable it stands in (FromEnv, FromJVM, FromJSON), or the key of the ConfigMap (FromFile); empty: the command line
	Key    Symbol // as written: SPRING_KAFKA_CONSUMER_HEARTBEATINTERVAL, spring.kafka..., -Xmx, -XX:MaxRAMPercentage
	Value  string
	// Profile is the Spring profile for which alone it holds (application-PROFILE.yml, spring.config.activate.on-profile); empty for all.
	Profile Symbol
}

// ReferenceKind is how a container refers to a ConfigMap.
type ReferenceKind uint8

// The kinds of references.
const (
	EnvKey   ReferenceKind = iota // env.valueFrom.configMapKeyRef: Name is the variable, Key the key
	EnvAll                        // envFrom.configMapRef: Name is the prefix
	FileKey                       // a mounted key: Name is the file's base name, Key the key
	FilesAll                      // all keys of it are mounted, each as a file of its name
)

// Reference is a reference of a container to a ConfigMap of its namespace.
type Reference struct {
	Kind      ReferenceKind
	ConfigMap Symbol
	Key       Symbol
	Name      Symbol
}

// ConfigMap is a ConfigMap, reduced to the entries that may be a setting.
type ConfigMap struct {
	Meta
	Entries []ConfigEntry
}

// ObjectKind implements Object.
func (*ConfigMap) ObjectKind() Kind { return ConfigMaps }

// ConfigEntry is one key of a ConfigMap.
type ConfigEntry struct {
	Key Symbol
	// Scalar is the value if it is short and looks like a number, a duration, a size or a percentage, or if the key by itself is one
	// that is judged: an environment variable may take it under any name. Empty otherwise.
	Scalar string
	// Settings are those in the value: of application*.yml, bootstrap*.properties and the like, of JVM options, of a JSON object.
	// Source is FromFile, FromJVM or FromJSON, Where is empty.
	Settings []Setting
}

// Ignore is what the annotations stability-exporter/ignore and stability-exporter/ignore-reason of an object say.
type Ignore struct {
	Checks   []Symbol // ids, as written
	Reasoned bool     // there is a reason: without one the exemption is not in force
}

// ProbeOutcome is what an event tells of a probe.
type ProbeOutcome uint8

// The outcomes of probes that events tell of.
const (
	ProbeFailed     ProbeOutcome = iota // the probe said no
	ProbeErrored                        // the probe could not be asked: its result is thrown away
	ProbeRedirected                     // an HTTP probe was redirected to another host, which counts as success
	ProbeKilled                         // the container was killed for it
)

// ProbeEvent is an Event of a pod that tells of a probe.
type ProbeEvent struct {
	Meta
	Pod       UID
	Container Symbol
	ProbeType uint8 // index into ProbeTypes
	Outcome   ProbeOutcome
	// Scheme says that the text shows HTTP spoken to HTTPS or the reverse.
	Scheme bool
	Last   Time // when it was last seen
}

// ObjectKind implements Object.
func (*ProbeEvent) ObjectKind() Kind { return Events }
