// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// pageOptions are what a page of a website must be like; prefix begins their names.
func pageOptions(prefix string) []Option {
	return []Option{
		{Name: prefix + "status", Type: List, Default: "2xx", Check: checkStatusRange,
			Help: "statuses that are right, as 200, 2xx or 200-299; redirects are not followed"},
		{Name: prefix + "text", Type: Text, Help: "regular expression that the page must match", Check: checkPattern},
		{Name: prefix + "not_text", Type: Text, Help: "regular expression that the page must not match", Check: checkPattern},
		{Name: prefix + "host", Type: Text, Help: "the name to ask for (Host header), where it is not that of the address"},
	}
}

// judgePage tells what is wrong with a page, and returns the reason when its status is. It returns an error when the page could not be asked
// for with these credentials.
func (p *Probe) judgePage(prefix string, a *answer) (wrongStatus Reason, err error) {
	ranges := p.OptionList(prefix + "status")
	right := false
	for _, text := range ranges {
		from, to, err := parseStatusRange(text)
		right = right || err == nil && from <= a.status && a.status <= to
	}
	wanted := strings.Join(ranges, ", ")
	switch {
	case right:
	case a.status == http.StatusUnauthorized:
		return Auth, fail(Auth, "HTTP 401 instead of %s", wanted)
	case a.status == http.StatusForbidden:
		return Permission, fail(Permission, "HTTP 403 instead of %s", wanted)
	case a.status == http.StatusTooManyRequests:
		wrongStatus = Saturated
	case a.status >= 500:
		wrongStatus = Unavailable
	default:
		wrongStatus = Mismatch
	}
	if !right {
		p.Problem(wrongStatus, "HTTP %d instead of %s", a.status, wanted)
	}
	if pattern := p.Option(prefix + "text"); right && pattern != "" && !matches(pattern, a.body) {
		p.Problem(Mismatch, "the page does not match %q", pattern)
	}
	if pattern := p.Option(prefix + "not_text"); right && pattern != "" && matches(pattern, a.body) {
		p.Problem(Mismatch, "the page matches %q", pattern)
	}
	return wrongStatus, nil
}

func matches(pattern string, body []byte) bool {
	re, err := regexp.Compile(pattern)
	return err == nil && re.Match(body)
}

func checkStatusRange(text string) error {
	_, _, err := parseStatusRange(text)
	return err
}

// parseStatusRange reads 200, 2xx or 200-299.
func parseStatusRange(text string) (from, to int, err error) {
	first, last, ranged := strings.Cut(strings.TrimSpace(text), "-")
	if hundreds, found := strings.CutSuffix(strings.ToLower(first), "xx"); found && !ranged {
		first, last = hundreds+"00", hundreds+"99"
	} else if !ranged {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return 0, 0, fmt.Errorf("%q is no HTTP status such as 200, 2xx or 200-299", text)
	}
	return from, to, nil
}
