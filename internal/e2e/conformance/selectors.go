package conformance

import (
	"strconv"

	"github.com/go-stomp/stomp/v3/frame"
)

func selectors() []row {
	rows := []row{
		{
			name: "SyntaxError", artemis: "ERROR, and the connection closes", classic: "ERROR, and the connection stays", ask: syntaxError,
		},
		{
			name: "Ranges", artemis: "`<`, `>` and `BETWEEN` on strings: ERROR, and the connection closes",
			classic: "`<`, `>` and `BETWEEN` on strings: ERROR, and the connection stays", ask: ranges,
		},
		{
			name: "NotWithoutParentheses", artemis: "`NOT` binds to the name after it: `NOT a='b'` matches nothing, `NOT a IN ('b')` is an ERROR",
			classic: "`NOT` binds to the name after it: `NOT a IN ('b')` is an ERROR, and `NOT a='b'` one for whoever sends what is compared",
			ask:     notWithoutParentheses,
		},
		both("BehindOthers", "a match behind a thousand messages of others is found (on Classic up to `maxPageSize`)", behindOthers),
	}
	for _, g := range []struct {
		name, artemis, classic string
		conditions             []condition
	}{
		{
			name: "Strings", artemis: "`=`, `<>`, `AND`, `OR`, `NOT` on strings; a comparison with a header that is absent is unknown, which is no match",
			conditions: []condition{
				{"run_id='102023'", true, true},
				{"run_id<>'102023'", false, false},
				{"run_id<>'1'", true, true},
				{"absent='x'", false, false},
				{"absent<>'x'", false, false},
				{"NOT (absent='x')", false, false},
				{"not (color='blue') and run_id='102023'", true, true},
				{"NOT (run_id='1')", true, true},
				{"absent='x' OR run_id='102023'", true, true},
				{"absent='x' AND run_id='102023'", false, false},
				{"run_id='1' OR color='red' AND run_id='2'", false, false},
				{"quote='it''s'", true, true},
				{"'red'=color", true, true},
				{"color='RED'", false, false},
				{"COLOR='red'", false, false},
			},
		},
		{
			name: "Numbers", artemis: "a header is a string: `run_id = 102023` does not match, `run_id <> 102023` does", classic: "the string is taken for a number: `run_id = 102023` matches",
			conditions: []condition{
				{"run_id=102023", false, true},
				{"run_id<>102023", true, false},
				{"run_id>5", false, true},
				{"run_id<5", false, false},
				{"run_id>=102023", false, true},
				{"run_id<=102023", false, true},
				{"run_id BETWEEN 1 AND 200000", false, true},
				{"run_id NOT BETWEEN 1 AND 2", false, true},
				{"color>5", false, false},
				{"NOT (run_id=102023)", true, false},
				{"1=1", true, true},
				{"2>1", true, true},
			},
		},
		{
			name: "Sets", artemis: "`IN`, `NOT IN`",
			conditions: []condition{
				{"color IN ('red','green')", true, true},
				{"color IN ('blue')", false, false},
				{"color NOT IN ('blue','green')", true, true},
				{"color NOT IN ('red')", false, false},
				{"absent IN ('red')", false, false},
				{"absent NOT IN ('red')", false, false},
				{"NOT (color IN ('red'))", false, false},
			},
		},
		{
			name: "Absent", artemis: "`IS NULL`, `IS NOT NULL`",
			conditions: []condition{
				{"absent IS NULL", true, true},
				{"color IS NULL", false, false},
				{"color IS NOT NULL", true, true},
				{"absent IS NOT NULL", false, false},
			},
		},
		{
			name: "Patterns", artemis: "`LIKE` with `%`, `_` and `ESCAPE`",
			conditions: []condition{
				{"color LIKE 'r%'", true, true},
				{"color LIKE 'r_d'", true, true},
				{"color LIKE 'r_'", false, false},
				{"color LIKE 'R%'", false, false},
				{"color NOT LIKE 'b%'", true, true},
				{"absent LIKE '%'", false, false},
				{"absent NOT LIKE 'b%'", false, false},
				{"percent LIKE '50!%' ESCAPE '!'", true, true},
				{"color LIKE 'r!%' ESCAPE '!'", false, false},
				{"color LIKE '%e%'", true, true},
				{"dotted LIKE 'a.c'", true, true},
				{"color LIKE 're.'", false, false},
			},
		},
		{
			name: "Hyphens", artemis: "a name with a hyphen is a difference: it matches nothing",
			conditions: []condition{{"my-key='a'", false, false}},
		},
	} {
		if g.classic == "" {
			g.classic = g.artemis
		}
		rows = append(rows, row{name: g.name, artemis: g.artemis, classic: g.classic, ask: func(p *probe) { ask(p, g.conditions) }})
	}
	return rows
}

// condition is a selector and whether it matches the message of ask.
type condition struct {
	text             string
	artemis, classic bool
}

func ask(p *probe, conditions []condition) {
	p.Helper()
	c := p.connect()
	for i, condition := range conditions {
		id, topic := strconv.Itoa(i), p.topic()+"."+strconv.Itoa(i)
		// The end matches whatever the condition says.
		headers := c.subscription(id, topic, frame.Ack, frame.AckAuto, "selector", "("+condition.text+") OR ending='1'")
		if f := c.try(frame.SUBSCRIBE, "", headers...); f.Command != frame.RECEIPT {
			p.Errorf("%s: refused: %s", condition.text, said(f))
			c = p.connect()
			continue
		}
		c.send(topic, "probe", "run_id", "102023", "color", "red", "quote", "it's", "percent", "50%", "dotted", "a.c", "my-key", "a")
		c.send(topic, "end", "ending", "1")
		want := condition.artemis
		if p.Mode == Classic {
			want = condition.classic
		}
		if got := c.until("end", want); got != want {
			p.Errorf("%s: matches is %v, want %v", condition.text, got, want)
		}
		c.unsubscribe(id)
		c.inbox = nil
	}
}

// until reads messages up to the one with the body last, and the one before it if that is due: Artemis sometimes gives the
// first two messages of a new subscription in the wrong order. It says whether there was one before.
func (c *peer) until(last string, due bool) bool {
	c.p.Helper()
	got, ended := false, false
	for !ended || due && !got {
		if string(c.message().Body) == last {
			ended = true
		} else {
			got = true
		}
	}
	return got
}

func syntaxError(p *probe) {
	for _, text := range []string{"color =", "= 'red'", "color = 'red", "(color='red'", "color 'red'", "color IN ('red'", "color LIKE", "color IS", "color='a' color='b'"} {
		p.connect().refusesSelector(text)
	}
}

func ranges(p *probe) {
	for _, text := range []string{"color>'blue'", "'blue'<=color", "color BETWEEN 'a' AND 'z'"} {
		p.connect().refusesSelector(text)
	}
}

func notWithoutParentheses(p *probe) {
	p.connect().refusesSelector("NOT color IN ('red')")
	if p.Mode == Classic {
		return
	}
	ask(p, []condition{
		{text: "NOT color='red'"},
		{text: "NOT color='blue'"},
		{text: "NOT color='blue' AND run_id='102023'"},
		{text: "NOT absent='x'"},
	})
}

func (c *peer) refusesSelector(text string) {
	c.p.Helper()
	f := c.try(frame.SUBSCRIBE, "", c.subscription("1", c.p.topic(), "selector", text)...)
	if f.Command != frame.ERROR {
		c.p.Errorf("%s: accepted", text)
		return
	}
	c.stays(c.p.Mode == Classic)
}

func behindOthers(p *probe) {
	c := p.connect()
	for range 1000 {
		c.put(frame.SEND, "other", append(p.typed("destination-type", p.queue()), frame.Destination, p.queue(), "color", "blue")...)
	}
	c.send(p.queue(), "mine", "color", "red")
	c.subscribe("1", p.queue(), "selector", "color='red'")
	p.bodies(c, "mine")
	c.unsubscribe("1")
	c.subscribe("2", p.queue(), frame.Ack, frame.AckAuto)
	for range 1000 {
		c.message()
	}
}
