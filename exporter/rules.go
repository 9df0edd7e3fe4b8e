// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/alecthomas/kingpin/v2"

	"stability-exporter/rules"
)

// rulesOptions are the flags of the command rules.
type rulesOptions struct {
	rules.Options
	configFile string // empty means that of --config.file
}

// addRules declares the flags of the command rules.
func addRules(command *kingpin.CmdClause, o *rulesOptions) {
	valueFlag(command, "format", "Form of the output: prometheus is a rule file for Prometheus and vmalert, prometheusrule and "+
		"vmrule are objects for the operators of Prometheus and VictoriaMetrics.", &o.Format, oneOf(rules.Formats()...)).
		Default(rules.Prometheus)
	valueFlag(command, "runbook-url", "Address of the folder where you keep docs/runbooks; the links of the alerts begin with it.",
		&o.Runbooks, parseAddress).PlaceHolder("URL")
	command.Flag("name", "Name of the object.").Default("stability-exporter").StringVar(&o.Name)
	command.Flag("config", "Configuration whose section rules says what is to be different: thresholds, tiers, switches. By default "+
		"that of --config.file.").PlaceHolder("FILE").StringVar(&o.configFile)
}

// parseAddress accepts what a browser can open.
func parseAddress(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	address, err := url.Parse(text)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
		return "", errors.New("give an address such as https://wiki.example.com/runbooks/")
	}
	return text, nil
}

// printRules is the command rules: it prints the bundled rules as configured and returns the exit code.
func printRules(o *options, stdout, stderr io.Writer) int {
	settings, err := loadConfig(cmp.Or(o.rules.configFile, o.configFile))
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	o.rules.Config = settings.Rules.customization()
	text, err := rules.Print(o.rules.Options)
	if err == nil {
		_, err = stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(stderr, "cannot print the rules: %v\n", err)
		return exitFailure
	}
	return exitOK
}
