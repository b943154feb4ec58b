package quickjson

// deepest is how far values may lie within each other here; encoding/json allows ten thousand.
const deepest = 100

// pass is a document as far as it is read. Each method reads what it is named after, or returns false: then it is something else, or no
// JSON, and the pass is over.
type pass struct {
	b []byte
	i int
}

// peek is the next byte that is no white space, 0 at the end.
func (p *pass) peek() byte {
	for ; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

func (p *pass) next(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *pass) end() bool { return p.peek() == 0 && p.i == len(p.b) }

// value is the next one as it stands.
func (p *pass) value() (raw []byte, ok bool) {
	p.peek()
	begin := p.i
	ok = p.skip(0)
	return p.b[begin:p.i:p.i], ok
}

// plain is a text that is written as what it is: ASCII without escapes.
func (p *pass) plain() (text []byte, ok bool) {
	if !p.next('"') {
		return nil, false
	}
	begin := p.i
	for ; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return p.b[begin : p.i-1], true
		case c < 0x20 || c >= 0x7f || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// member is the key of the next member of an object, of which the opening brace was read. It says when there is none.
func (p *pass) member(first bool) (key []byte, over, ok bool) {
	switch {
	case p.next('}'):
		return nil, true, true
	case !first && !p.next(','):
		return nil, false, false
	}
	key, ok = p.plain()
	return key, false, ok && p.next(':')
}

// element says whether an array, of which the opening bracket was read, has another one.
func (p *pass) element(first bool) (over, ok bool) {
	if p.next(']') {
		return true, true
	}
	return false, first || p.next(',')
}

func (p *pass) null() bool { return p.peek() == 'n' && p.word("null") }

// skip passes over a value.
func (p *pass) skip(depth int) bool {
	switch c := p.peek(); {
	case c == '"':
		return p.text()
	case c == '{':
		p.i++
		return depth < deepest && p.object(depth+1)
	case c == '[':
		p.i++
		return depth < deepest && p.array(depth+1)
	case c == '-' || isDigit(c):
		return p.number()
	case c == 't':
		return p.word("true")
	case c == 'f':
		return p.word("false")
	default:
		return p.word("null")
	}
}

func (p *pass) object(depth int) bool {
	for first := true; !p.next('}'); first = false {
		if !first && !p.next(',') || p.peek() != '"' || !p.text() || !p.next(':') || !p.skip(depth) {
			return false
		}
	}
	return true
}

func (p *pass) array(depth int) bool {
	for first := true; ; first = false {
		if over, ok := p.element(first); over || !ok {
			return ok
		}
		if !p.skip(depth) {
			return false
		}
	}
}

// text passes over any text, from quote to quote.
func (p *pass) text() bool {
	for p.i++; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			p.i++
			return true
		case c == '\\':
			if p.i++; p.i >= len(p.b) || !p.escape() {
				return false
			}
		case c < 0x20:
			return false
		}
	}
	return false
}

func (p *pass) escape() bool {
	switch p.b[p.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if p.i++; p.i >= len(p.b) || !isHex(p.b[p.i]) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func (p *pass) number() bool {
	if p.b[p.i] == '-' {
		p.i++
	}
	begin := p.i
	if !p.digits() || p.b[begin] == '0' && p.i > begin+1 {
		return false
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		if p.i++; !p.digits() {
			return false
		}
	}
	if p.i < len(p.b) && (p.b[p.i] == 'e' || p.b[p.i] == 'E') {
		if p.i++; p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		return p.digits()
	}
	return true
}

// digits passes over at least one.
func (p *pass) digits() bool {
	begin := p.i
	for p.i < len(p.b) && isDigit(p.b[p.i]) {
		p.i++
	}
	return p.i > begin
}

func (p *pass) word(w string) bool {
	end := p.i + len(w)
	if end > len(p.b) || string(p.b[p.i:end]) != w {
		return false
	}
	p.i = end
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
