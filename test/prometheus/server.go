// SPDX-License-Identifier: Apache-2.0

// Package prometheus runs a real Prometheus and a real Alertmanager, those of the Debian packages, on free ports of the
// loopback interface, and an inbox that receives what the Alertmanager sends.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"stability-exporter/test/daemon"
)

// Options say what a Prometheus does.
type Options struct {
	Dir          string        // for its configuration and data
	Interval     time.Duration // of scrapes and of the evaluation of rules
	Rules        []byte        // a rule file; nil for none
	Alertmanager string        // host:port; empty for none
}

// Server is a running Prometheus. The API is that of its client library.
type Server struct {
	*daemon.Daemon
	v1.API
	targets string // folder with one file for each target
}

// Start starts a Prometheus and waits until it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{targets: filepath.Join(o.Dir, "targets")}
	if err := os.MkdirAll(s.targets, 0o755); err != nil {
		return nil, fmt.Errorf("cannot create the folder of the targets: %w", err)
	}
	configuration, err := s.configure(o)
	if err != nil {
		return nil, err
	}
	s.Daemon, err = daemon.Start("prometheus", "--config.file="+configuration, "--web.listen-address=127.0.0.1:0",
		"--storage.tsdb.path="+filepath.Join(o.Dir, "data"))
	if err != nil {
		return nil, err
	}
	address, err := listening(ctx, s.Daemon)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	if err != nil {
		s.Kill()
		return nil, fmt.Errorf("cannot make a client of Prometheus: %w", err)
	}
	s.API = v1.NewAPI(client)
	err = s.Await(ctx, daemon.Patience, "Prometheus to answer", func(ctx context.Context) error {
		_, _, _, err := s.Query(ctx, "vector(1)", time.Time{})
		return err
	})
	if err != nil {
		s.Kill()
		return nil, fmt.Errorf("%w\n%s", err, s.Log())
	}
	return s, nil
}

// configure writes the configuration and returns its path.
func (s *Server) configure(o Options) (string, error) {
	type object = map[string]any
	interval := o.Interval.String()
	configuration := object{
		"global": object{"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
		"scrape_configs": []object{{
			"job_name": "stability-exporter", "honor_labels": true,
			"file_sd_configs": []object{{"files": []string{filepath.Join(s.targets, "*.json")}, "refresh_interval": "1s"}},
		}},
	}
	if o.Rules != nil {
		rules := filepath.Join(o.Dir, "rules.yaml")
		if err := os.WriteFile(rules, o.Rules, 0o644); err != nil {
			return "", fmt.Errorf("cannot write the rules: %w", err)
		}
		configuration["rule_files"] = []string{rules}
	}
	if o.Alertmanager != "" {
		configuration["alerting"] = object{"alertmanagers": []object{{"static_configs": []object{{"targets": []string{o.Alertmanager}}}}}}
	}
	return writeYAML(filepath.Join(o.Dir, "prometheus.yaml"), configuration)
}

// Scrape lets the server scrape an address from now on, with the labels on all its series. A target of the same name is
// replaced; the empty address ends it.
func (s *Server) Scrape(name, address string, labels map[string]string) error {
	groups := []map[string]any{}
	if address != "" {
		groups = append(groups, map[string]any{"targets": []string{address}, "labels": labels})
	}
	text, err := json.Marshal(groups)
	if err != nil {
		return fmt.Errorf("cannot write target %s: %w", name, err)
	}
	// Beside it first: the server must never read half a file.
	path := filepath.Join(s.targets, name+".json")
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return fmt.Errorf("cannot write target %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("cannot write target %s: %w", name, err)
	}
	return nil
}

// Vector is the answer to an instant query, at the present moment, that must give a vector.
func (s *Server) Vector(ctx context.Context, query string) (model.Vector, error) {
	value, _, _, err := s.Query(ctx, query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("cannot query %s: %w", query, err)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return nil, fmt.Errorf("query %s gives a %s, want a vector", query, value.Type())
	}
	return vector, nil
}

// listening waits until a program says where it listens. The program is ended if it does not.
func listening(ctx context.Context, d *daemon.Daemon) (address string, err error) {
	line := regexp.MustCompile(`msg="Listening on" address=(\S+)`)
	err = d.Await(ctx, daemon.Patience, "the program to listen", func(context.Context) error {
		match := line.FindStringSubmatch(d.Log())
		if match == nil {
			return errors.New("it does not say where it listens")
		}
		address = match[1]
		return nil
	})
	if err != nil {
		d.Kill()
		return "", fmt.Errorf("%w\n%s", err, d.Log())
	}
	return address, nil
}

func writeYAML(path string, value any) (string, error) {
	text, err := yaml.Marshal(value)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		return "", fmt.Errorf("cannot write %s: %w", filepath.Base(path), err)
	}
	return path, nil
}
