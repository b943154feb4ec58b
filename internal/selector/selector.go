package selector

import (
	"strconv"
	"strings"

	"github.com/go-stomp/stomp/v3/frame"
)

// Selector is a parsed filter on headers, in the selector language of JMS 2.0, chapter 3.8.1, as the brokers read it: = and <>
// on strings and numbers, < <= > >= and BETWEEN on numbers, IN, LIKE, IS NULL, AND, OR, NOT, parentheses. nil matches all.
//
// Every header is a string. In Artemis a number equals none of them: run_id = 102023 never matches; Classic takes the string for
// a number. What is compared with an absent header is unknown (SQL's three values), and unknown does not match. NOT without
// parentheses binds to the name after it, in both: NOT a = 'b' is unknown.
type Selector struct {
	text string
	root node
}

// String is the selector as it was written.
func (s *Selector) String() string {
	if s == nil {
		return ""
	}
	return s.text
}

// Matches reports whether a message with these headers is wanted.
func (s *Selector) Matches(h *frame.Header) bool { return s == nil || s.root.eval(h) == yes }

// truth has SQL's three values.
type truth int

const (
	no truth = iota
	unknown
	yes
)

func known(b bool) truth {
	if b {
		return yes
	}
	return no
}

// node is a condition.
type node interface{ eval(h *frame.Header) truth }

type (
	both   struct{ left, right node }
	either struct{ left, right node }
	not    struct{ inner node }
)

func (n both) eval(h *frame.Header) truth   { return min(n.left.eval(h), n.right.eval(h)) }
func (n either) eval(h *frame.Header) truth { return max(n.left.eval(h), n.right.eval(h)) }
func (n not) eval(h *frame.Header) truth    { return yes - n.inner.eval(h) }

// comparison is = <> < <= > >=.
type comparison struct {
	left, right operand
	symbol      string
	convert     bool // a string beside a number is taken for one
}

func (c comparison) eval(h *frame.Header) truth {
	l, r := c.left.value(h), c.right.value(h)
	if l.kind == null || r.kind == null {
		return unknown
	}
	if l.kind != r.kind {
		if !c.convert {
			switch c.symbol {
			case "=":
				return no
			case "<>":
				return yes
			}
			return unknown
		}
		if l, r = l.asNumber(), r.asNumber(); l.kind == null || r.kind == null {
			return unknown
		}
	}
	switch c.symbol {
	case "=":
		return known(l == r)
	case "<>":
		return known(l != r)
	}
	if l.kind != number {
		return unknown // strings have no order
	}
	switch c.symbol {
	case "<":
		return known(l.number < r.number)
	case "<=":
		return known(l.number <= r.number)
	case ">":
		return known(l.number > r.number)
	}
	return known(l.number >= r.number)
}

// membership is IN.
type membership struct {
	left operand
	set  []string
}

func (m membership) eval(h *frame.Header) truth {
	v := m.left.value(h)
	if v.kind == null {
		return unknown
	}
	for _, text := range m.set {
		if v.kind == str && v.text == text {
			return yes
		}
	}
	return no
}

// absence is IS NULL.
type absence struct{ left operand }

func (a absence) eval(h *frame.Header) truth { return known(a.left.value(h).kind == null) }

// pattern is LIKE: % stands for anything, _ for one character.
type pattern struct {
	left  operand
	parts []patternPart
}

type patternPart struct {
	char rune
	wild byte // '%', '_', or 0 for char
}

func (p pattern) eval(h *frame.Header) truth {
	v := p.left.value(h)
	if v.kind != str {
		return unknown
	}
	return known(like([]rune(v.text), p.parts))
}

// like goes back to the last % only, so that it takes at most len(text) x len(parts) steps.
func like(text []rune, parts []patternPart) bool {
	t, p, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(parts) && parts[p].wild == '%':
			star, mark = p, t
			p++
		case p < len(parts) && (parts[p].wild == '_' || parts[p].wild == 0 && parts[p].char == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	for p < len(parts) && parts[p].wild == '%' {
		p++
	}
	return p == len(parts)
}

func parsePattern(text string, escape rune) []patternPart {
	var parts []patternPart
	escaped := false
	for _, r := range text {
		switch {
		case !escaped && escape != 0 && r == escape:
			escaped = true
			continue
		case !escaped && (r == '%' || r == '_'):
			parts = append(parts, patternPart{wild: byte(r)})
		default:
			parts = append(parts, patternPart{char: r})
		}
		escaped = false
	}
	return parts
}

// valueKind is what a value is.
type valueKind int

const (
	null valueKind = iota
	str
	number
)

// value is what an operand stands for in a message.
type value struct {
	kind   valueKind
	text   string
	number float64
}

func (v value) asNumber() value {
	if v.kind == str {
		n, err := strconv.ParseFloat(strings.TrimSpace(v.text), 64)
		if err != nil {
			return value{}
		}
		return value{kind: number, number: n}
	}
	return v
}

// operand is a name or a literal.
type operand struct {
	name    string // of a header; empty for a literal
	literal value
}

func (o operand) value(h *frame.Header) value {
	if o.name == "" {
		return o.literal
	}
	if text, ok := h.Contains(o.name); ok {
		return value{kind: str, text: text}
	}
	return value{}
}
