// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"
	"time"

	"stability-exporter/internal/settings"
)

func intervalChecks() []Check {
	return []Check{
		{
			ID: "env_unit_suspect", Category: Interval, Levels: []Level{Warning, Critical},
			English: "A time is set in another unit than the one that was meant",
			Chinese: "时间参数的单位与本意不符（如 7 秒被当成 7 毫秒）",
			Why: "Programs count a number without a unit in milliseconds or in seconds, and one property of a framework may differ from the next. " +
				"spring.kafka.consumer.heartbeat-interval: 7 is 7 ms: every consumer thread wakes up 143 times a second and sends as many heartbeats. Nothing " +
				"fails and nothing is logged; CPU is burnt, caches are useless, shutdowns cut off requests, or dead connections stay unnoticed.",
			Fix: "Write the unit where the property takes one (7s, 500ms, PT7S), else the number in the unit of the property (7000).",
			Spares: "A time with its unit, unless no heartbeat is ever meant to be that short. A number that makes sense as it is read. Settings whose slip makes the " +
				"program fail at once: that is seen without us. Keys that only end like a known one: whole keys are compared. Placeholders (${...}), whose " +
				"value is not known. What stands in the image, in a configuration server or in a Secret cannot be seen.",
			OfContainer: suspectUnit,
		},
		{
			ID: "env_phantom_property", Category: Interval, Levels: []Level{Warning},
			English: "A property is set that does not exist, so the default is in effect",
			Chinese: "设置了不存在的参数，实际生效的是默认值",
			Why: "Spring Boot ignores properties that it does not know without a word. Somebody set a time on purpose, and the program goes on with its " +
				"default: a session that was to outlast long pauses of the garbage collector does not.",
			Fix: "Use the property that exists; the detail names it.",
			Spares: "Everything but a short list of names that look right and never existed in any release. Properties that came late or were removed " +
				"(spring.kafka.consumer.max-poll-interval, since Spring Boot 3.5): which release runs is not known.",
			OfContainer: phantomProperty,
		},
	}
}

// hairTrigger is what no heartbeat and no poll is meant to be.
const hairTrigger = 100 * time.Millisecond

func suspectUnit(c *ContainerSubject) Verdict {
	var level Level
	var details []string
	for _, i := range c.Intervals() {
		if i.Slip {
			level = max(level, slipLevel(&i))
			details = append(details, slipDetail(&i))
		}
	}
	return Verdict{level, strings.Join(details, "; ")}
}

// slipLevel is critical where a heartbeat or a poll surely became a busy loop.
func slipLevel(i *settings.Interval) Level {
	if i.Row.Kind == settings.Heartbeat && i.Effective < hairTrigger && i.Row.Doubt == "" && (i.Likely > 0 || i.Row.Floor > 0) && i.Row.Unit < time.Second {
		return Critical
	}
	return Warning
}

// slipDetail names the key, what is in effect and what was likely meant, and no other value.
func slipDetail(i *settings.Interval) string {
	var detail strings.Builder
	fmt.Fprintf(&detail, "%s is %s", i.Row.Key, spoken(i.Effective))
	if i.Likely > 0 {
		fmt.Fprintf(&detail, ", likely meant %s", spoken(i.Likely))
	} else if i.Row.Default > 0 {
		fmt.Fprintf(&detail, ", the default is %s", spoken(i.Row.Default))
	}
	fmt.Fprintf(&detail, ": %s", i.Row.Effect)
	if i.Row.Doubt != "" {
		fmt.Fprintf(&detail, " (%s)", i.Row.Doubt)
	}
	return detail.String()
}

// spoken returns a duration without the zeros of time.Duration: 7ms, 16h40m, 1h.
func spoken(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func phantomProperty(c *ContainerSubject) Verdict {
	var details []string
	for _, haunt := range settings.Phantoms(c.InEffect()) {
		details = append(details, fmt.Sprintf("%s does not exist, use %s", haunt.Phantom.Key, haunt.Phantom.Instead))
	}
	if len(details) == 0 {
		return Verdict{}
	}
	return Verdict{Warning, strings.Join(details, "; ")}
}
