package selector

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting, so that a hostile selector cannot exhaust the stack.
const maxDepth = 100

var errSelectorEnd = errors.New("ends too early")

// Parse parses a selector; an empty text is nil. convert is Classic's way with strings beside numbers.
func Parse(text string, convert bool) (*Selector, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p := parser{rest: text, convert: convert}
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
	return &Selector{text, root}, nil
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenSymbol
)

// parser holds the token that is looked at and what comes after it.
type parser struct {
	rest    string
	kind    tokenKind
	text    string
	convert bool
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
		if p.symbol("(") || p.keyword("NOT") {
			inner, err := p.unary(depth + 1)
			return not{inner}, err
		}
		if _, err := p.operand(); err != nil {
			return nil, err
		}
		return p.predicate(operand{}, true) // a string that is denied is nothing
	case p.symbol("("):
		if err := p.advance(); err != nil {
			return nil, err
		}
		inner, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	return p.predicate(left, false)
}

// predicate is what is said of an operand; denied, that NOT stood before it.
func (p *parser) predicate(left operand, denied bool) (node, error) {
	if p.kind == tokenSymbol && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, p.text) {
		return p.comparison(left)
	}
	if p.keyword("IS") {
		return p.absence(left)
	}
	negated := p.keyword("NOT")
	if negated {
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	var n node
	var err error
	switch {
	case p.keyword("IN") && !denied && left.name != "":
		n, err = p.membership(left)
	case p.keyword("BETWEEN"):
		n, err = p.between(left)
	case p.keyword("LIKE"):
		n, err = p.pattern(left)
	case p.kind == tokenEnd:
		return nil, errSelectorEnd
	default:
		return nil, fmt.Errorf("unexpected %q where a comparison was expected", p.text)
	}
	if negated {
		n = not{n}
	}
	return n, err
}

func (p *parser) comparison(left operand) (node, error) {
	c := comparison{left: left, symbol: p.text, convert: p.convert}
	err := p.advance()
	if err == nil {
		c.right, err = p.operand()
	}
	if err == nil && c.symbol != "=" && c.symbol != "<>" && (c.left.literal.kind == str || c.right.literal.kind == str) {
		err = fmt.Errorf("%s compares numbers, not strings", c.symbol)
	}
	return c, err
}

func (p *parser) absence(left operand) (node, error) {
	err := p.advance()
	negated := err == nil && p.keyword("NOT")
	if negated {
		err = p.advance()
	}
	if err == nil && !p.keyword("NULL") {
		err = errors.New("IS without NULL")
	}
	if err != nil {
		return nil, err
	}
	if negated {
		return not{absence{left}}, p.advance()
	}
	return absence{left}, p.advance()
}

func (p *parser) membership(left operand) (node, error) {
	m := membership{left: left}
	err := p.advance()
	if err == nil {
		err = p.expect("(")
	}
	for err == nil {
		if p.kind != tokenString {
			return nil, errors.New("IN needs a list of strings")
		}
		m.set = append(m.set, p.text)
		if err = p.advance(); err != nil || !p.symbol(",") {
			break
		}
		err = p.advance()
	}
	if err == nil {
		err = p.expect(")")
	}
	return m, err
}

func (p *parser) between(left operand) (node, error) {
	var low, high operand
	err := p.advance()
	if err == nil {
		low, err = p.operand()
	}
	if err == nil && !p.keyword("AND") {
		err = errors.New("BETWEEN without AND")
	}
	if err == nil {
		err = p.advance()
	}
	if err == nil {
		high, err = p.operand()
	}
	if err == nil && (left.literal.kind == str || low.literal.kind == str || high.literal.kind == str) {
		err = errors.New("BETWEEN compares numbers, not strings")
	}
	return both{comparison{left, low, ">=", p.convert}, comparison{left, high, "<=", p.convert}}, err
}

func (p *parser) pattern(left operand) (node, error) {
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.kind != tokenString {
		return nil, errors.New("LIKE needs a string")
	}
	text, escape := p.text, rune(0)
	err := p.advance()
	if err == nil && p.keyword("ESCAPE") {
		if err = p.advance(); err == nil && (p.kind != tokenString || utf8.RuneCountInString(p.text) != 1) {
			err = errors.New("ESCAPE needs one character")
		}
		if err != nil {
			return nil, err
		}
		escape, _ = utf8.DecodeRuneInString(p.text)
		err = p.advance()
	}
	return pattern{left, parsePattern(text, escape)}, err
}

// operand reads a name or a literal. A calculation with a name is nothing, as with every string: so is a name with a hyphen.
func (p *parser) operand() (operand, error) {
	o, err := p.term()
	for err == nil && p.kind == tokenSymbol && slices.Contains([]string{"+", "-", "*", "/"}, p.text) {
		if err = p.advance(); err == nil {
			_, err = p.term()
		}
		o = operand{}
	}
	return o, err
}

func (p *parser) term() (operand, error) {
	sign := 1.0
	if p.symbol("-") || p.symbol("+") {
		if p.text == "-" {
			sign = -1
		}
		if err := p.advance(); err != nil {
			return operand{}, err
		}
		if p.kind != tokenNumber {
			return operand{}, errors.New("a sign without a number")
		}
	}
	switch p.kind {
	case tokenName:
		if slices.ContainsFunc([]string{"AND", "OR", "NOT", "IN", "IS", "LIKE", "BETWEEN", "NULL", "ESCAPE"}, p.keyword) {
			return operand{}, fmt.Errorf("unexpected %q", p.text)
		}
		o := operand{name: p.text}
		return o, p.advance()
	case tokenString:
		o := operand{literal: value{kind: str, text: p.text}}
		return o, p.advance()
	case tokenNumber:
		n, err := strconv.ParseFloat(p.text, 64)
		if err != nil {
			return operand{}, fmt.Errorf("%q is no number", p.text)
		}
		return operand{literal: value{kind: number, number: sign * n}}, p.advance()
	case tokenEnd:
		return operand{}, errSelectorEnd
	default:
		return operand{}, fmt.Errorf("unexpected %q", p.text)
	}
}

func (p *parser) keyword(word string) bool {
	return p.kind == tokenName && strings.EqualFold(p.text, word)
}

func (p *parser) symbol(text string) bool { return p.kind == tokenSymbol && p.text == text }

func (p *parser) expect(text string) error {
	if !p.symbol(text) {
		return fmt.Errorf("missing %s", text)
	}
	return p.advance()
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
	case strings.HasPrefix(p.rest, "<>"), strings.HasPrefix(p.rest, "<="), strings.HasPrefix(p.rest, ">="):
		p.token(tokenSymbol, 2)
	case strings.IndexByte("=<>(),+-*/", c) >= 0:
		p.token(tokenSymbol, 1)
	case nameStart(c):
		n := 1
		for n < len(p.rest) && (nameStart(p.rest[n]) || digit(p.rest[n]) || p.rest[n] == '.') {
			n++
		}
		p.token(tokenName, n)
	case digit(c):
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
