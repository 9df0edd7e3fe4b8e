// SPDX-License-Identifier: Apache-2.0

package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func httpKind() Kind {
	return Kind{
		Name: "http",
		Help: "Asks a URL of any program, such as a licence server: status, text, what a JSON answer must say, numbers in it and when " +
			"something of it expires.",
		Port: "80", TLSPort: "443", Address: PageURL,
		Options: slices.Concat([]Option{
			{Name: "path", Type: Text, Help: "appended to the address"},
			{Name: "method", Type: Text, Default: http.MethodGet, Help: "GET, HEAD or POST", Check: checkMethod},
			{Name: "body", Type: Text, Help: "what to send with POST, as application/json"},
		}, pageOptions(""), []Option{
			{Name: "json", Type: List, Check: checkPredicate,
				Help: `what a JSON answer must say, as status == "UP", seats.free >= 1, name =~ "^a" or data.nodes[0] alone: it is there`},
			{Name: "facts", Type: List, Check: checkNamedPath, Help: "numbers in a JSON answer, as seats_free=licence.seats.free"},
			{Name: "expires", Type: List, Check: checkExpiry,
				Help: "what expires, as NAME=UNIT:PATH with the unit days (left), date, unix (seconds) or unix_ms: licence=days:licence.daysLeft"},
		}),
		Facts: append(tlsFacts(), "fact", "expiry_timestamp_seconds"),
		Asked: askedOfPages,
		Verified: Verification{
			Live: []string{"nginx 1.22 as a licence server that is good, expired, out of seats, broken and away, with and without TLS"},
			Fake: []string{"Go's HTTP server that is slow"},
		},
		Probe: probeHTTP,
	}
}

func checkMethod(text string) error {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, text) {
		return fmt.Errorf("%q is none of GET, HEAD and POST", text)
	}
	return nil
}

func probeHTTP(ctx context.Context, p *Probe) error {
	a, err := p.exchange(ctx, exchange{method: p.Option("method"), path: p.Option("path"), body: p.Option("body"), host: p.Option("host")})
	if err != nil {
		return err
	}
	wrongStatus, err := p.judgePage("", a)
	if err != nil {
		return err
	}
	p.Up()
	predicates, facts, expiries := p.OptionList("json"), p.OptionList("facts"), p.OptionList("expires")
	if len(predicates)+len(facts)+len(expiries) == 0 {
		return nil
	}
	document, err := a.document(wrongStatus)
	if err != nil {
		return err
	}
	for _, text := range predicates {
		p.judgePredicate(text, document)
	}
	for _, text := range facts {
		p.tellFact(text, document)
	}
	for _, text := range expiries {
		p.tellExpiry(text, document)
	}
	return nil
}

// document decodes the JSON of a page. The page of an error is another one: that it is no JSON has the reason of its status.
func (a *answer) document(wrongStatus Reason) (any, error) {
	document, err := decodeJSON(a.body)
	if err != nil && wrongStatus != "" {
		return nil, fail(wrongStatus, "HTTP %d: %w", a.status, err)
	}
	return document, err
}

// predicate is what a value in a JSON document must be.
type predicate struct {
	path     jsonPath
	operator string // empty: the value must be there
	operand  string
}

// operators begin with the longer ones.
func operators() []string { return []string{"==", "!=", ">=", "<=", "=~", "!~", ">", "<"} }

func parsePredicate(text string) (predicate, error) {
	left, operator, right := cutOperator(text)
	path, err := parseJSONPath(strings.TrimSpace(left))
	if err != nil {
		return predicate{}, err
	}
	right = strings.TrimSpace(right)
	if unquoted, err := strconv.Unquote(right); err == nil {
		right = unquoted
	} else if operator != "" && right == "" {
		return predicate{}, fmt.Errorf("%q compares with nothing", text)
	}
	switch operator {
	case ">", "<", ">=", "<=":
		if _, err := strconv.ParseFloat(right, 64); err != nil {
			return predicate{}, fmt.Errorf("%q: %s compares with a number", text, operator)
		}
	case "=~", "!~":
		if err := checkPattern(right); err != nil {
			return predicate{}, err
		}
	}
	return predicate{path, operator, right}, nil
}

// cutOperator splits a text at the first operator that stands outside of quotes.
func cutOperator(text string) (left, operator, right string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch {
		case quoted && text[i] == '\\':
			i++
			continue
		case text[i] == '"':
			quoted = !quoted
		}
		for _, o := range operators() {
			if !quoted && strings.HasPrefix(text[i:], o) {
				return text[:i], o, text[i+len(o):]
			}
		}
	}
	return text, "", ""
}

func checkPredicate(text string) error {
	_, err := parsePredicate(text)
	return err
}

func (p *Probe) judgePredicate(text string, document any) {
	wanted, err := parsePredicate(text)
	if err != nil {
		p.Problem(Internal, "%v", err)
		return
	}
	value, found := wanted.path.in(document)
	switch {
	case !found:
		p.Problem(Mismatch, "%s: there is no such value", text)
	case !wanted.holds(value):
		p.Problem(Mismatch, "it is not true that %s: it is %s", text, shorten(jsonText(value)))
	}
}

// maxShown is how much of a value is shown.
const maxShown = 40

func shorten(text string) string {
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// holds reports whether a value is as wanted. Numbers are compared as numbers, everything else as text.
func (w predicate) holds(value any) bool {
	text := jsonText(value)
	n, err := strconv.ParseFloat(w.operand, 64)
	number, numeric := jsonNumber(value)
	switch w.operator {
	case "":
		return value != nil
	case "=~":
		return matches(w.operand, []byte(text))
	case "!~":
		return !matches(w.operand, []byte(text))
	case "==":
		return text == w.operand || err == nil && numeric && number == n
	case "!=":
		return text != w.operand && (err != nil || !numeric || number != n)
	case ">":
		return numeric && number > n
	case ">=":
		return numeric && number >= n
	case "<":
		return numeric && number < n
	case "<=":
		return numeric && number <= n
	}
	return false
}

// namedPath is NAME=PATH.
func namedPath(text string) (string, jsonPath, error) {
	name, path, found := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if !found || !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(name) {
		return "", nil, fmt.Errorf("%q is not NAME=PATH with a name of lower-case letters, digits and _", text)
	}
	parsed, err := parseJSONPath(strings.TrimSpace(path))
	return name, parsed, err
}

func checkNamedPath(text string) error {
	_, _, err := namedPath(text)
	return err
}

func (p *Probe) tellFact(text string, document any) {
	name, path, err := namedPath(text)
	if err != nil {
		p.Problem(Internal, "%v", err)
		return
	}
	value, _ := path.in(document)
	number, ok := jsonNumber(value)
	if !ok || !finite(number) {
		p.Unknown("fact{"+name+"}", Garbled)
		return
	}
	p.Fact(name, number)
}

// parseExpiry reads NAME=UNIT:PATH.
func parseExpiry(text string) (name, unit string, path jsonPath, err error) {
	name, rest, _ := strings.Cut(text, "=")
	unit, inside, found := strings.Cut(rest, ":")
	unit = strings.TrimSpace(unit)
	if !found || !slices.Contains([]string{"days", "date", "unix", "unix_ms"}, unit) {
		return "", "", nil, fmt.Errorf("%q is not NAME=UNIT:PATH with the unit days, date, unix or unix_ms", text)
	}
	name, path, err = namedPath(name + "=" + inside)
	return name, unit, path, err
}

func checkExpiry(text string) error {
	_, _, _, err := parseExpiry(text)
	return err
}

func (p *Probe) tellExpiry(text string, document any) {
	name, unit, path, err := parseExpiry(text)
	if err != nil {
		p.Problem(Internal, "%v", err)
		return
	}
	value, _ := path.in(document)
	at, err := p.expiryOf(unit, value)
	if err != nil {
		p.Unknown("expiry_timestamp_seconds{"+name+"}", Garbled)
		p.Problem(Mismatch, "when %s expires is not told: %v", name, err)
		return
	}
	p.Expires(name, at)
	if at <= float64(p.Now().Unix()) {
		p.Problem(Expired, "%s expired at %s", name, time.Unix(int64(at), 0).UTC().Format(time.RFC3339))
	}
}

// askedOfPages returns the facts and the expiries that the options name.
func askedOfPages(p *Probe) []string {
	var facts []string
	for _, text := range p.OptionList("facts") {
		name, _, _ := strings.Cut(text, "=")
		facts = append(facts, "fact{"+strings.TrimSpace(name)+"}")
	}
	for _, text := range p.OptionList("expires") {
		name, _, _ := strings.Cut(text, "=")
		facts = append(facts, "expiry_timestamp_seconds{"+strings.TrimSpace(name)+"}")
	}
	return facts
}

// farFuture is the year 9999: what expires later does not expire, and has a date all the same.
const farFuture = 253402300799

func (p *Probe) expiryOf(unit string, value any) (float64, error) {
	if unit == "date" {
		text, ok := value.(string)
		if !ok {
			return 0, errors.New("there is no date")
		}
		at, err := parseDate(text)
		return float64(at.Unix()), err
	}
	n, ok := jsonNumber(value)
	if !ok || !finite(n) {
		return 0, errors.New("there is no number")
	}
	switch unit {
	case "days":
		n = float64(p.Now().Unix()) + n*24*60*60
	case "unix_ms":
		n /= 1000
	}
	return max(-farFuture, min(farFuture, n)), nil
}
