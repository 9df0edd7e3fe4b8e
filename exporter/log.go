// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	sloggokit "github.com/tjhop/slog-gokit"
)

// loggers are the two views of one output: ours, and the one that libraries write to.
type loggers struct {
	own    log.Logger
	bridge *slog.Logger
}

// newLoggers returns loggers that write to w in the given format (logfmt or json) what is at least of the given level
// (debug, info, warn or error).
func newLoggers(w io.Writer, format, minimum string) (loggers, error) {
	allowed, err := level.Parse(minimum)
	if err != nil {
		return loggers{}, fmt.Errorf("cannot log at level %q: %w", minimum, err)
	}
	threshold := new(slog.LevelVar)
	if err := threshold.UnmarshalText([]byte(minimum)); err != nil {
		return loggers{}, fmt.Errorf("cannot log at level %q: %w", minimum, err)
	}
	encode := log.NewLogfmtLogger
	if format == "json" {
		encode = log.NewJSONLogger
	}
	base := level.NewFilter(encode(log.NewSyncWriter(w)), level.Allow(allowed))
	return loggers{
		own: log.With(base, "time", log.DefaultTimestampUTC, "caller", log.DefaultCaller),
		// The bridge adds time and caller of its own: over the decorated logger every line would carry both twice.
		bridge: slog.New(sloggokit.NewGoKitHandler(base, threshold)),
	}, nil
}
