package stompd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-stomp/stomp/v3/frame"
)

// selector is a parsed filter on headers: =, <>, AND, OR, NOT, parentheses, quoted strings and names. nil matches all.
//
// Every header is a string, so a number without quotes equals none of them: run_id = 102023 never matches, as in Artemis.
// A comparison with a header that is absent is unknown (SQL's three values), and unknown does not match.
type selector struct{ root node }

// matches reports whether a message with these headers is wanted.
func (s *selector) matches(h *frame.Header) bool { return s == nil || s.root.eval(h) == yes }

// truth has SQL's three values.
type truth int

const (
	no truth = iota
	unknown
	yes
)

type node interface{ eval(h *frame.Header) truth }

type (
	operand struct {
		text    string
		literal bool
		number  bool
	}
	comparison struct {
		left, right operand
		equal       bool
	}
	both   struct{ left, right node }
	either struct{ left, right node }
	not    struct{ inner node }
)

func (o operand) value(h *frame.Header) (string, bool) {
	if o.literal {
		return o.text, true
	}
	return h.Contains(o.text)
}

func (c comparison) eval(h *frame.Header) truth {
	l, lok := c.left.value(h)
	r, rok := c.right.value(h)
	switch {
	case !lok || !rok:
		return unknown
	case c.left.number != c.right.number:
		return no // a number and a string are neither equal nor unequal
	case (l == r) == c.equal:
		return yes
	}
	return no
}

func (n both) eval(h *frame.Header) truth   { return min(n.left.eval(h), n.right.eval(h)) }
func (n either) eval(h *frame.Header) truth { return max(n.left.eval(h), n.right.eval(h)) }
func (n not) eval(h *frame.Header) truth    { return yes - n.inner.eval(h) }

// maxDepth bounds nesting, so that a hostile selector cannot exhaust the stack.
const maxDepth = 100

var errSelectorEnd = errors.New("ends too early")

// parseSelector parses a selector; an empty text is nil.
func parseSelector(text string) (*selector, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p := parser{rest: text}
	if err := p.advance(); err != nil {
		return nil, err
	}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.kind != tokenEnd {
		return nil, fmt.Errorf("unexpected %q", p.text)
	}
	return &selector{root}, nil
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenSymbol // = <> ( )
)

type parser struct {
	rest string
	kind tokenKind
	text string
}

func (p *parser) or(depth int) (node, error) {
	left, err := p.and(depth)
	for err == nil && p.keyword("OR") {
		var right node
		if err = p.advance(); err == nil {
			right, err = p.and(depth)
			left = either{left, right}
		}
	}
	return left, err
}

func (p *parser) and(depth int) (node, error) {
	left, err := p.unary(depth)
	for err == nil && p.keyword("AND") {
		var right node
		if err = p.advance(); err == nil {
			right, err = p.unary(depth)
			left = both{left, right}
		}
	}
	return left, err
}

func (p *parser) unary(depth int) (node, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	switch {
	case p.keyword("NOT"):
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.unary(depth + 1)
		return not{inner}, err
	case p.kind == tokenSymbol && p.text == "(":
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if p.kind != tokenSymbol || p.text != ")" {
			return nil, errors.New("missing )")
		}
		return inner, p.advance()
	default:
		return p.comparison()
	}
}

func (p *parser) comparison() (node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	if p.kind != tokenSymbol || (p.text != "=" && p.text != "<>") {
		return nil, fmt.Errorf("expected = or <> after %q", left.text)
	}
	equal := p.text == "="
	if err := p.advance(); err != nil {
		return nil, err
	}
	right, err := p.operand()
	return comparison{left, right, equal}, err
}

func (p *parser) operand() (operand, error) {
	o := operand{text: p.text, literal: p.kind != tokenName, number: p.kind == tokenNumber}
	switch p.kind {
	case tokenName, tokenString, tokenNumber:
		return o, p.advance()
	case tokenEnd:
		return o, errSelectorEnd
	default:
		return o, fmt.Errorf("unexpected %q", p.text)
	}
}

func (p *parser) keyword(word string) bool {
	return p.kind == tokenName && strings.EqualFold(p.text, word)
}

// advance reads the next token.
func (p *parser) advance() error {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		p.kind, p.text = tokenEnd, ""
		return nil
	}
	c := p.rest[0]
	switch {
	case c == '\'':
		return p.quoted()
	case strings.HasPrefix(p.rest, "<>"):
		p.token(tokenSymbol, 2)
	case c == '=' || c == '(' || c == ')':
		p.token(tokenSymbol, 1)
	case nameStart(c):
		n := 1
		for n < len(p.rest) && (nameStart(p.rest[n]) || digit(p.rest[n]) || p.rest[n] == '.') {
			n++
		}
		p.token(tokenName, n)
	case digit(c) || c == '-' || c == '+':
		n := 1
		for n < len(p.rest) && (digit(p.rest[n]) || p.rest[n] == '.') {
			n++
		}
		p.token(tokenNumber, n)
	default:
		return fmt.Errorf("unexpected %q", c)
	}
	return nil
}

func (p *parser) token(kind tokenKind, n int) {
	p.kind, p.text, p.rest = kind, p.rest[:n], p.rest[n:]
}

// quoted reads a string in single quotes; a quote within is doubled.
func (p *parser) quoted() error {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		if p.rest[i] != '\'' {
			b.WriteByte(p.rest[i])
			continue
		}
		if i+1 < len(p.rest) && p.rest[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		p.kind, p.text, p.rest = tokenString, b.String(), p.rest[i+1:]
		return nil
	}
	return errors.New("string without its closing quote")
}

func nameStart(c byte) bool {
	return c == '_' || c == '$' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
