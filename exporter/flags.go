// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"github.com/prometheus/exporter-toolkit/web/kingpinflag"

	"stability-exporter/collectors"
)

const programName = "stability_exporter"

// The commands, as kingpin names them once it has parsed a command line.
const (
	commandServe       = "serve"
	commandRules       = "rules"
	commandDashboards  = "dashboards"
	commandConfigCheck = "config check"
)

// options is a parsed command line.
type options struct {
	command string

	source     sourceOptions
	configFile string
	stateFile  string
	collectors map[string]*bool // by name: whether the collector is enabled
	logLevel   string
	logFormat  string

	web           *web.FlagConfig
	telemetryPath string
	profiling     bool
	maxScrapes    int // how many scrapes are served at a time; zero means any number

	checkedFile string // the argument of config check
	rules       rulesOptions
	dashboards  dashboardOptions
}

// newApp declares the command line. The options are filled in when it parses.
func newApp(specs []collectors.Spec) (*kingpin.Application, *options) {
	app := kingpin.New(programName, "Tells whether what runs on Kubernetes, and the middleware around it, is stable.")
	app.HelpFlag.Short('h')
	app.Version(version.Print(programName))
	o := &options{collectors: map[string]*bool{}}
	o.source.addFlags(app)
	app.Flag("config.file", "YAML file with settings that are not flags; read again on SIGHUP and POST /-/reload.").
		PlaceHolder("FILE").StringVar(&o.configFile)
	app.Flag("state.file", "File that keeps restart counts and baselines over a restart of the exporter; saved every 30s.").
		PlaceHolder("FILE").StringVar(&o.stateFile)
	for _, spec := range specs {
		o.collectors[spec.Name] = app.Flag("collector."+spec.Name, spec.Help).Default(fmt.Sprint(spec.Default)).Bool()
	}
	valueFlag(app, "log.level", "Only log what is at least this severe: debug, info, warn or error.", &o.logLevel,
		oneOf("debug", "info", "warn", "error")).Default("info")
	valueFlag(app, "log.format", "Format of log lines: logfmt or json.", &o.logFormat, oneOf("logfmt", "json")).
		Default("logfmt")
	o.addServe(app.Command(commandServe, "Run the exporter: the default command. 'help serve' shows its flags.").Default())
	addRules(app.Command(commandRules, "Print the bundled alert and recording rules."), &o.rules)
	o.dashboards.addFlags(app.Command(commandDashboards, "Write the bundled Grafana dashboards."))
	config := app.Command("config", "Work on configuration files.")
	check := config.Command("check", "Validate a configuration file and print every mistake with its line.")
	check.Arg("file", "The configuration file.").Required().StringVar(&o.checkedFile)
	return app, o
}

func (o *options) addServe(serve *kingpin.CmdClause) {
	o.web = kingpinflag.AddFlags(serve, ":10099")
	serve.Flag("web.telemetry-path", "Path under which metrics are served.").
		Default("/metrics").StringVar(&o.telemetryPath)
	serve.Flag("web.enable-pprof", "Serve Go profiles under /debug/pprof/.").BoolVar(&o.profiling)
	valueFlag(serve, "web.max-requests", "Scrapes served at the same time; one more is answered with 503. 0 means no limit.",
		&o.maxScrapes, parseLimit).Default("10")
}

// errHelped is returned by parse when the command line asked for help or the version, and got it.
var errHelped = errors.New("help was shown")

// parse reads a command line. Help and version go to stdout.
func parse(args []string, stdout, stderr io.Writer) (*options, error) {
	specs, err := collectors.All(collectors.Options{})
	if err != nil {
		return nil, err
	}
	app, o := newApp(specs)
	app.UsageWriter(stdout)
	app.ErrorWriter(stderr)
	helped := false
	app.Terminate(func(int) { helped = true }) // instead of os.Exit in the middle of parsing
	command, err := app.Parse(args)
	if helped {
		return nil, errHelped
	}
	if err != nil {
		return nil, err
	}
	o.command = command
	return o, o.validate()
}

// plainPath is what a path has to look like so that it means itself to http.ServeMux.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func (o *options) validate() error {
	if o.command != commandServe {
		return nil
	}
	reserved := []string{healthPath, readyPath, reloadPath, inspectedPath, probePath, sdPath, strings.TrimSuffix(profilingPath, "/")}
	if !plainPath.MatchString(o.telemetryPath) || slices.Contains(reserved, o.telemetryPath) ||
		strings.HasPrefix(o.telemetryPath, profilingPath) {
		return fmt.Errorf("--web.telemetry-path=%s cannot be served: give a path such as /metrics that nothing else uses",
			o.telemetryPath)
	}
	if _, err := collectors.All(collectors.Options{WorkloadLabels: o.source.workloadLabels}); err != nil {
		return fmt.Errorf("--workload-labels=%s: %w", strings.Join(o.source.workloadLabels, ","), err)
	}
	if err := o.source.validate(); err != nil || o.source.cluster() || o.configFile != "" {
		return err
	}
	return errNoSource // with a configuration it remains to be seen
}
