// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
)

const (
	healthPath    = "/healthz"
	readyPath     = "/readyz"
	reloadPath    = "/-/reload"
	inspectedPath = "/-/inspected"
	probePath     = "/probe"
	profilingPath = "/debug/pprof/"
)

const (
	shutdownTimeout = 5 * time.Second
	// writeTimeout leaves room for the profile of 30 seconds that pprof takes by default.
	writeTimeout = 60 * time.Second
	readTimeout  = 10 * time.Second
	// idleTimeout outlasts the usual scrape intervals, so that a scraper keeps its connection.
	idleTimeout    = 5 * time.Minute
	headerTimeout  = 5 * time.Second
	maxHeaderBytes = 64 << 10
)

// routes are what the server answers with.
type routes struct {
	telemetryPath string
	metrics       http.Handler
	ready         http.HandlerFunc
	reload        func() error
	inspected     func()
	landing       http.Handler
	probe         http.Handler
	targets       http.Handler
	profiling     bool
}

func (r routes) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+r.telemetryPath, r.metrics) // GET allows HEAD too
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET "+readyPath, r.ready)
	mux.HandleFunc("POST "+reloadPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := r.reload(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "configuration reloaded")
	})
	mux.HandleFunc("POST "+inspectedPath, func(w http.ResponseWriter, _ *http.Request) {
		r.inspected()
		fmt.Fprintln(w, "restarts are counted from now on")
	})
	mux.Handle("GET "+probePath, r.probe)
	mux.Handle("GET "+sdPath, r.targets)
	mux.Handle("GET /{$}", r.landing)
	if r.profiling {
		mux.HandleFunc("GET "+profilingPath, pprof.Index)
		mux.HandleFunc("GET "+profilingPath+"cmdline", pprof.Cmdline)
		mux.HandleFunc("GET "+profilingPath+"profile", pprof.Profile)
		mux.HandleFunc("GET "+profilingPath+"symbol", pprof.Symbol)
		mux.HandleFunc("GET "+profilingPath+"trace", pprof.Trace)
	}
	return mux
}

// listen serves the handler at every address of the flags until the context is done, and then lets requests in progress
// finish within shutdownTimeout. TLS and authentication come from the web configuration file.
func listen(ctx context.Context, handler http.Handler, flags *web.FlagConfig, logger *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, one := range perAddress(flags) {
		server := &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		}
		group.Go(func() error {
			if err := web.ListenAndServe(server, one, logger); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("cannot serve HTTP: %w", err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
			defer cancel()
			if err := server.Shutdown(patience); err != nil {
				server.Close()
				logger.Warn("requests in progress were cut off", "err", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// perAddress splits the flags, for exporter-toolkit writes to the server it is given: several listeners need several.
func perAddress(flags *web.FlagConfig) []*web.FlagConfig {
	if *flags.WebSystemdSocket {
		return []*web.FlagConfig{flags}
	}
	var split []*web.FlagConfig
	for _, address := range *flags.WebListenAddresses {
		one := *flags
		one.WebListenAddresses = &[]string{address}
		split = append(split, &one)
	}
	return split
}
