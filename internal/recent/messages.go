package recent

import (
	"bytes"
	"encoding/json"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
)

const (
	// maxBody is the longest message of which the body is kept.
	maxBody = 4096
	// maxJunk is how much of a body is shown that is no JSON.
	maxJunk = 500
	// junk is the drawer of what is none; others is that of messages of further types when there are too many.
	junk, others = "\x00junk", "\x00others"
)

// AddMessage keeps a message. Its body is not copied, and not looked at.
func (m *Memory) AddMessage(s document.SeenMessage) {
	now := m.now().UTC()
	s.At = now
	if len(s.Body) > maxBody {
		s.Body = nil
	}
	drawer := message.Cut(s.MsgType, maxName)
	s.MsgType, s.Sender, s.RunID, s.Slice = drawer, message.Cut(s.Sender, maxName), message.Cut(s.RunID, maxName), message.Cut(s.Slice, 2*maxName)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.space(s.Namespace)
	switch {
	case s.Junk != "":
		s.Junk = message.Cut(s.Junk, maxJunk)
		drawer = junk
	case n.messages.drawers[drawer] == nil && len(n.messages.drawers) >= messageBounds.drawers-2:
		drawer = others
	}
	m.number++
	n.latest = m.number
	size := 300 + len(s.Body) + len(s.Sender) + len(s.Slice) + len(s.Junk)
	n.messages.put(drawer, item[document.SeenMessage]{number: m.number, at: now, size: size, value: s})
}

// Messages are those of a query: component is who sent them. Secrets in them are masked.
func (m *Memory) Messages(q Query) (document.RecentPage[document.SeenMessage], error) {
	text := []byte(strings.ToLower(q.Text))
	return choose(m, &q, selection[document.SeenMessage]{
		of: func(n *namespace) *shelf[document.SeenMessage] { return n.messages },
		fits: func(drawer string) bool {
			return (!q.Junk || drawer == junk) && (q.MsgType == "" || drawer == q.MsgType || drawer == junk || drawer == others)
		},
		want: func(s *document.SeenMessage) bool {
			return either(q.Component, s.Sender) && either(q.Run, s.RunID) && either(q.Slice, s.Slice) && either(q.MsgType, s.MsgType) &&
				either(q.Destination, s.Destination) && (len(text) == 0 || said(s, text))
		},
		show: shown,
	})
}

func shown(s document.SeenMessage) document.SeenMessage {
	s.Junk = logging.Redact(s.Junk)
	s.Body = readable(s.Body)
	return s
}

// said reports whether a text, in lower case, is to be found in a message. In what is masked nobody may search; what is handed out
// has no spaces between its words, so that the text need not stand there as it was found.
func said(s *document.SeenMessage, text []byte) bool {
	in := func(s *document.SeenMessage) bool {
		return bytes.Contains(bytes.ToLower(s.Body), text) || bytes.Contains(bytes.ToLower([]byte(s.Junk+" "+s.Sender+" "+s.Slice)), text)
	}
	if !in(s) {
		return false
	}
	out := shown(*s)
	return in(&out) || !bytes.Contains(out.Body, []byte(inItsPlace)) && out.Junk == s.Junk
}

// inItsPlace is in what is handed out in place of a secret.
const inItsPlace = "***"

// readable is a body as it is handed out: JSON in any case, without secrets.
func readable(body []byte) json.RawMessage {
	if len(body) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		v = message.Cut(string(body), maxJunk)
	}
	out, err := json.Marshal(masked("", v))
	if err != nil {
		return nil
	}
	return out
}

// masked is a value of a JSON document without what must not be shown.
func masked(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = masked(k, v[k])
		}
		return v
	case []any:
		for i := range v {
			v[i] = masked(key, v[i])
		}
		return v
	case string:
		return logging.RedactValue(key, v)
	case json.Number:
		if hidden := logging.RedactValue(key, v.String()); hidden != v.String() {
			return hidden
		}
	}
	return v
}
