// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/alecthomas/kingpin/v2"

	"stability-exporter/rules"
)

// addRules declares the flags of the command rules.
func addRules(command *kingpin.CmdClause, o *rules.Options) {
	valueFlag(command, "format", "Form of the output: prometheus is a rule file for Prometheus and vmalert, prometheusrule and "+
		"vmrule are objects for the operators of Prometheus and VictoriaMetrics.", &o.Format, oneOf(rules.Formats()...)).
		Default(rules.Prometheus)
	valueFlag(command, "runbook-url", "Address of the folder where you keep docs/runbooks; the links of the alerts begin with it.",
		&o.Runbooks, parseAddress).PlaceHolder("URL")
	command.Flag("name", "Name of the object.").Default("stability-exporter").StringVar(&o.Name)
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

// printRules is the command rules: it prints the bundled rules and returns the exit code.
func printRules(o rules.Options, stdout, stderr io.Writer) int {
	text, err := rules.Print(o)
	if err == nil {
		_, err = stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(stderr, "cannot print the rules: %v\n", err)
		return exitFailure
	}
	return exitOK
}
