package textfile

import (
	"fmt"
	"strconv"
	"strings"
)

// writer makes the text of Prometheus' exposition format: a library for it would bring protobuf along.
type writer struct {
	site, name string
	text       []byte
}

// metric begins one; values follow.
func (w *writer) metric(name, help, kind string) {
	w.name = name
	w.text = fmt.Appendf(w.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// value adds a number with labels, names and values in turn, beside that of the site.
func (w *writer) value(n float64, labels ...string) {
	w.text = fmt.Appendf(w.text, `%s{site="%s"`, w.name, escape(w.site))
	for i := 0; i < len(labels); i += 2 {
		w.text = fmt.Appendf(w.text, `,%s="%s"`, labels[i], escape(labels[i+1]))
	}
	w.text = fmt.Appendf(w.text, "} %s\n", strconv.FormatFloat(n, 'f', -1, 64))
}

// longest is of a label.
const longest = 100

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// escape makes a text of others a label.
func escape(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "")
	}
	return quoted.Replace(text)
}
