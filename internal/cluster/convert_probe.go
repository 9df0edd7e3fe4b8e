// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"stability-exporter/internal/state"
)

// What the API server fills in for the fields of a probe that are zero or absent (pkg/apis/core/v1/defaults.go).
const (
	defaultProbeTimeout = 1
	defaultProbePeriod  = 10
	defaultSuccess      = 1
	defaultFailure      = 3
)

// probe converts a probe; nil stays nil. Of several handlers, which no API server accepts, the one counts that the
// kubelet tries first.
func probe(p *corev1.Probe) *state.Probe {
	if p == nil {
		return nil
	}
	converted := &state.Probe{
		InitialDelay: seconds(int64(p.InitialDelaySeconds)),
		Period:       interval(p.PeriodSeconds, defaultProbePeriod),
		Timeout:      interval(p.TimeoutSeconds, defaultProbeTimeout),
		Success:      positive(p.SuccessThreshold, defaultSuccess),
		Failure:      positive(p.FailureThreshold, defaultFailure),
		Grace:        seconds(deref(p.TerminationGracePeriodSeconds, 0)),
	}
	switch h := &p.ProbeHandler; {
	case h.Exec != nil:
		converted.Handler, converted.Command = state.HandlerExec, command(h.Exec.Command)
	case h.HTTPGet != nil:
		httpProbe(converted, h.HTTPGet)
	case h.TCPSocket != nil:
		converted.Handler, converted.Host = state.HandlerTCP, name(h.TCPSocket.Host)
		converted.PortName, converted.Port = port(h.TCPSocket.Port)
	case h.GRPC != nil:
		converted.Handler, converted.Port = state.HandlerGRPC, count(h.GRPC.Port)
		converted.Service = name(deref(h.GRPC.Service, ""))
	}
	return converted
}

func httpProbe(p *state.Probe, get *corev1.HTTPGetAction) {
	path := text(get.Path, maxProbePath)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // the default is "/", and the kubelet adds a slash that is missing
	}
	p.Handler, p.Host, p.Path = state.HandlerHTTP, name(get.Host), state.Sym(path)
	p.PortName, p.Port = port(get.Port)
	p.HTTPS = strings.EqualFold(string(get.Scheme), string(corev1.URISchemeHTTPS)) // as the kubelet reads it
	p.Headers = headers(get.HTTPHeaders)
}

// headers returns a hash of the headers, in which their order and the case of their names count for nothing.
func headers(all []corev1.HTTPHeader) state.UID {
	if len(all) == 0 {
		return state.UID{}
	}
	sorted := slices.Clone(all)
	for i := range sorted {
		sorted[i].Name = strings.ToLower(sorted[i].Name)
	}
	slices.SortFunc(sorted, func(a, b corev1.HTTPHeader) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	hash := sha256.New()
	for _, h := range sorted {
		hash.Write([]byte(strconv.Quote(h.Name) + strconv.Quote(h.Value)))
	}
	return state.UID(hash.Sum(nil)[:len(state.UID{})])
}

// port converts a port that is a number or a name. A name of digits is a number to the kubelet.
func port(p intstr.IntOrString) (state.Symbol, int32) {
	if p.Type == intstr.Int {
		return state.Symbol{}, count(p.IntVal)
	}
	if n, err := strconv.ParseUint(p.StrVal, 10, 16); err == nil {
		return state.Symbol{}, int32(n)
	}
	return name(p.StrVal), 0
}

// command copies the words of a command. Of a word that is too long, and of words that are too many, a hash takes the
// place of what is cut, so that two commands are equal only if they are.
func command(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	kept := make([]string, 0, min(len(words), maxArguments))
	for _, word := range words[:min(len(words), maxArguments)] {
		kept = append(kept, strings.Clone(shortened(word)))
	}
	if len(words) > maxArguments {
		kept[maxArguments-1] = "… " + digest(strings.Join(words[maxArguments-1:], "\x00"))
	}
	return kept
}

func shortened(word string) string {
	if len(word) <= maxArgument {
		return text(word, maxArgument)
	}
	return text(word, maxArgument-64) + "… " + digest(word)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
