// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kingpin/v2"
	"go.yaml.in/yaml/v3"

	"stability-exporter/dashboards"
)

// The formats of the command dashboards.
const (
	formatJSON      = "json"
	formatConfigMap = "configmap"
)

// dashboardOptions are the flags of the command dashboards.
type dashboardOptions struct {
	datasource string
	format     string
	folder     string // empty: standard output
}

func (o *dashboardOptions) addFlags(command *kingpin.CmdClause) {
	var sources []string
	for _, source := range dashboards.Datasources() {
		sources = append(sources, string(source))
	}
	valueFlag(command, "datasource", "Type of the data source in Grafana: prometheus works with VictoriaMetrics too, victoriametrics is "+
		"for the plugin of its own.", &o.datasource, oneOf(sources...)).Default(sources[0])
	valueFlag(command, "format", "json is what Grafana imports; configmap is one ConfigMap each for Grafana's sidecar, with the label "+
		`grafana_dashboard: "1".`, &o.format, oneOf(formatJSON, formatConfigMap)).Default(formatJSON)
	command.Flag("output-dir", "Existing folder to write a file for each dashboard to. By default they go to standard output, as one "+
		"JSON array or one YAML stream.").PlaceHolder("DIR").StringVar(&o.folder)
}

// printDashboards is the command dashboards: it returns the exit code.
func printDashboards(o dashboardOptions, stdout, stderr io.Writer) int {
	if err := o.write(stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return exitOK
}

func (o *dashboardOptions) write(stdout io.Writer) error {
	files, err := dashboards.Bundled(dashboards.Datasource(o.datasource))
	if err != nil {
		return err
	}
	var texts [][]byte
	for _, file := range files {
		text, extension := file.JSON, ".json"
		if o.format == formatConfigMap {
			extension = ".yaml"
			if text, err = configMap(file); err != nil {
				return fmt.Errorf("cannot write the ConfigMap %s: %w", file.UID, err)
			}
		}
		texts = append(texts, text)
		if o.folder != "" {
			if err := os.WriteFile(filepath.Join(o.folder, file.UID+extension), text, 0o644); err != nil {
				return fmt.Errorf("cannot write the dashboard %s, --output-dir has to be a folder that exists: %w", file.UID, err)
			}
		}
	}
	if o.folder != "" {
		return nil
	}
	stream := bytes.Join(texts, []byte("---\n"))
	if o.format == formatJSON {
		stream = append(append([]byte("[\n"), bytes.Join(texts, []byte(",\n"))...), "]\n"...)
	}
	if _, err := stdout.Write(stream); err != nil {
		return fmt.Errorf("cannot print the dashboards: %w", err)
	}
	return nil
}

// configMap returns the dashboard as a ConfigMap that Grafana's sidecar finds by its label.
func configMap(file dashboards.File) ([]byte, error) {
	type metadata struct {
		Name        string            `yaml:"name"`
		Labels      map[string]string `yaml:"labels"`
		Annotations map[string]string `yaml:"annotations"`
	}
	var text bytes.Buffer
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(struct {
		APIVersion string            `yaml:"apiVersion"`
		Kind       string            `yaml:"kind"`
		Metadata   metadata          `yaml:"metadata"`
		Data       map[string]string `yaml:"data"`
	}{
		APIVersion: "v1", Kind: "ConfigMap",
		Metadata: metadata{
			Name:        file.UID,
			Labels:      map[string]string{"grafana_dashboard": "1", "app.kubernetes.io/name": "stability-exporter"},
			Annotations: map[string]string{"grafana_folder": "Stability"},
		},
		Data: map[string]string{file.UID + ".json": string(file.JSON)},
	})
	return text.Bytes(), err
}
