// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"html/template"
	"net/http"
	"slices"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"

	"stability-exporter/collectors"
)

// landing is what the page at / shows.
type landing struct {
	Program, Version string
	Watched          string
	TelemetryPath    string
	Profiling        string // path; empty when it is off
	Collectors       []landingCollector
	Resources        []landingResource
	Middleware       []landingTarget
}

type landingCollector struct {
	Name, Help string
	Enabled    bool
}

type landingResource struct{ Name, Observation string }

type landingTarget struct{ Kind, Target, Verdict, Why string }

var landingPage = template.Must(template.New("landing").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Program}}</title>
<style>
body { font-family: sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid #ccc; padding: .3rem .8rem; text-align: left; }
</style>
</head>
<body>
<h1>{{.Program}}</h1>
<p>Version {{or .Version "unknown"}}. Watching {{.Watched}}.</p>
<ul>
<li><a href="{{.TelemetryPath}}">Metrics</a></li>
<li><a href="/readyz">Readiness</a></li>
<li><a href="/healthz">Health</a></li>
{{- with .Profiling}}
<li><a href="{{.}}">Profiles</a></li>
{{- end}}
</ul>
{{- with .Resources}}
<h2>Resources</h2>
<table>
<tr><th>resource</th><th>observation</th></tr>
{{- range .}}
<tr><td>{{.Name}}</td><td>{{.Observation}}</td></tr>
{{- end}}
</table>
{{- end}}
{{- with .Middleware}}
<h2>Middleware</h2>
<table>
<tr><th>kind</th><th>target</th><th>verdict</th><th>why</th></tr>
{{- range .}}
<tr><td>{{.Kind}}</td><td><a href="/probe?target={{.Target}}&amp;debug=true">{{.Target}}</a></td><td>{{.Verdict}}</td><td>{{.Why}}</td></tr>
{{- end}}
</table>
{{- end}}
<h2>Collectors</h2>
<table>
<tr><th>collector</th><th>enabled</th><th>what it measures</th></tr>
{{- range .Collectors}}
<tr><td>{{.Name}}</td><td>{{if .Enabled}}yes{{else}}no{{end}}</td><td>{{.Help}}</td></tr>
{{- end}}
</table>
</body>
</html>
`))

// landingHandler serves the page with what current returns.
func landingHandler(current func() landing, logger log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := landingPage.Execute(w, current()); err != nil {
			level.Debug(logger).Log("msg", "cannot send the landing page", "err", err)
		}
	})
}

// landing returns the present content of the landing page.
func (e *exporter) landing() landing {
	page := landing{
		Program: programName, Version: version.Version,
		Watched: e.source.String(), TelemetryPath: e.options.telemetryPath,
	}
	if e.options.profiling {
		page.Profiling = profilingPath
	}
	enabled := e.enabled(e.specs)
	for _, spec := range e.specs {
		runs := slices.ContainsFunc(enabled, func(s collectors.Spec) bool { return s.Name == spec.Name })
		page.Collectors = append(page.Collectors, landingCollector{spec.Name, spec.Help, runs})
	}
	snapshot := e.snapshot()
	for _, v := range snapshot.Middleware {
		page.Middleware = append(page.Middleware, landingTarget{v.Kind, v.Target, verdictOn(v), explain(v)})
	}
	for _, r := range snapshot.Resources {
		page.Resources = append(page.Resources, landingResource{r.Kind.String(), r.Observation.String()})
	}
	return page
}
