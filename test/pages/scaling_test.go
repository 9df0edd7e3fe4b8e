// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// scaledRules is what the program prints as its rules, with the times divided: for, keep_firing_for, and those in
// expressions. A range of a day is left alone: it only bounds how far back is looked.
func scaledRules(ctx context.Context, binary string, scale int) ([]byte, error) {
	text, err := exec.CommandContext(ctx, binary, "rules").Output()
	if err != nil {
		return nil, fmt.Errorf("cannot print the rules: %w", err)
	}
	var file struct {
		Groups []struct {
			Name  string           `yaml:"name"`
			Rules []map[string]any `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("cannot read the rules: %w", err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			for _, key := range []string{"for", "keep_firing_for"} {
				if duration, found := rule[key].(string); found {
					rule[key] = divided(duration, scale)
				}
			}
			rule["expr"] = scaledExpression(rule["expr"].(string), scale)
		}
	}
	return yaml.Marshal(file)
}

// divided is a duration divided by scale, in whole milliseconds.
func divided(text string, scale int) string {
	duration, err := model.ParseDuration(text)
	if err != nil {
		panic("BUG: the rules hold a broken duration " + text) // Prometheus' own parser has read them in the unit tests
	}
	return model.Duration(time.Duration(duration) / time.Duration(scale)).String()
}

// scaledExpression divides the ranges of an expression, how long a rollout may take, and how much of an hour a workload may
// be damaged. What the exporter itself waits for, such as news of a watch, goes at its own pace.
func scaledExpression(expr string, scale int) string {
	ranges := regexp.MustCompile(`\[(?:(\d+[mh])|(1d))(?::(\d+[sm]))?\]`)
	expr = ranges.ReplaceAllStringFunc(expr, func(text string) string {
		parts := ranges.FindStringSubmatch(text)
		length := parts[2]
		if parts[1] != "" {
			length = divided(parts[1], scale)
		}
		if parts[3] == "" {
			return "[" + length + "]"
		}
		return "[" + length + ":" + divided(parts[3], scale) + "]"
	})
	shares := regexp.MustCompile(`(damaged_ratio\{window="1h"\}\) > )([0-9.]+)`)
	expr = shares.ReplaceAllStringFunc(expr, func(text string) string {
		parts := shares.FindStringSubmatch(text)
		return parts[1] + fraction(parts[2], scale)
	})
	bounds := regexp.MustCompile(`(clamp_min\()(\d+)( \* .*?, )(\d+)(\))`)
	return bounds.ReplaceAllStringFunc(expr, func(text string) string {
		parts := bounds.FindStringSubmatch(text)
		return parts[1] + fraction(parts[2], scale) + parts[3] + fraction(parts[4], scale) + parts[5]
	})
}

// fraction is a number divided by scale.
func fraction(digits string, scale int) string {
	number, _ := strconv.ParseFloat(digits, 64) // the expression that found it takes nothing else
	return strconv.FormatFloat(number/float64(scale), 'f', -1, 64)
}
