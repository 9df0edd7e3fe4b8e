// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

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
	app.Flag("log.level", "Only log what is at least this severe: debug, info, warn or error.").
		Default("info").EnumVar(&o.logLevel, "debug", "info", "warn", "error")
	app.Flag("log.format", "Format of log lines: logfmt or json.").
		Default("logfmt").EnumVar(&o.logFormat, "logfmt", "json")
	o.addServe(app.Command(commandServe, "Run the exporter (the default command).").Default())
	config := app.Command("config", "Work on configuration files.")
	check := config.Command("check", "Validate a configuration file and print every mistake with its line.")
	check.Arg("file", "The configuration file.").Required().StringVar(&o.checkedFile)
	return app, o
}

func (o *options) addServe(serve *kingpin.CmdClause) {
	o.web = kingpinflag.AddFlags(serve, ":10099")
	serve.Flag("web.telemetry-path", "Path under which metrics are served.").
		Default("/metrics").PlaceHolder("PATH").StringVar(&o.telemetryPath)
	serve.Flag("web.enable-pprof", "Serve Go profiles under /debug/pprof/.").BoolVar(&o.profiling)
	serve.Flag("web.max-requests", "Scrapes served at the same time; one more is answered with 503. 0 means no limit.").
		Default("10").PlaceHolder("N").IntVar(&o.maxScrapes)
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
	reserved := []string{healthPath, readyPath, reloadPath, strings.TrimSuffix(profilingPath, "/")}
	if !plainPath.MatchString(o.telemetryPath) || slices.Contains(reserved, o.telemetryPath) ||
		strings.HasPrefix(o.telemetryPath, profilingPath) {
		return fmt.Errorf("--web.telemetry-path=%s cannot be served: give a path such as /metrics that nothing else uses",
			o.telemetryPath)
	}
	if o.maxScrapes < 0 {
		return fmt.Errorf("--web.max-requests=%d is negative: give 0 for no limit", o.maxScrapes)
	}
	if _, err := collectors.All(collectors.Options{WorkloadLabels: o.source.workloadLabels}); err != nil {
		return fmt.Errorf("--workload-labels=%s: %w", &o.source.workloadLabels, err)
	}
	return o.source.validate()
}

// momentValue is a flag that holds a moment in RFC 3339.
type momentValue time.Time

// Set implements kingpin.Value.
func (m *momentValue) Set(text string) error {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q is not a moment such as 2026-01-31T09:00:00Z", text)
	}
	*m = momentValue(t)
	return nil
}

// String implements kingpin.Value.
func (m *momentValue) String() string {
	if t := time.Time(*m); !t.IsZero() {
		return t.Format(time.RFC3339)
	}
	return ""
}

// listValue is a flag that holds words separated by commas; repeated flags add up.
type listValue []string

// Set implements kingpin.Value.
func (l *listValue) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			return fmt.Errorf("%q has an empty item", text)
		}
		if !slices.Contains(*l, word) {
			*l = append(*l, word)
		}
	}
	return nil
}

// IsCumulative tells kingpin that the flag may be given more than once.
func (l *listValue) IsCumulative() bool { return true }

// String implements kingpin.Value.
func (l *listValue) String() string { return strings.Join(*l, ",") }
