package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Mode is which broker is imitated, or is one.
type Mode string

// The brokers.
const (
	Artemis Mode = "Artemis"
	Classic Mode = "Classic"
)

// Broker is what is asked. It has the production addresses (docs/brokers.md).
type Broker struct {
	Mode            Mode
	Addr            string // host:port
	Login, Passcode string
	// Quiet is how long nothing must come for nothing to come.
	Quiet time.Duration
	// Long runs the rows that take a minute of real time too.
	Long bool
}

// row is one behaviour: in words for either broker, and as a question to one.
type row struct {
	name             string
	artemis, classic string
	long             bool
	ask              func(*probe)
}

// both is a row in which the brokers agree.
func both(name, what string, ask func(*probe)) row {
	return row{name: name, artemis: what, classic: what, ask: ask}
}

// chapters are all rows, in the order of the table.
func chapters() []chapter {
	return []chapter{
		{"Connections", connections()},
		{"Sending", sending()},
		{"Addresses", addresses()},
		{"Receiving", receiving()},
		{"Acknowledging", acknowledging()},
		{"Redelivery", redelivery()},
		{"Transactions", transactions()},
		{"Selectors", selectors()},
	}
}

type chapter struct {
	title string
	rows  []row
}

// Run asks a broker for every row.
func Run(t *testing.T, b Broker) {
	t.Helper()
	for _, c := range chapters() {
		for _, r := range c.rows {
			t.Run(c.title+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				if r.long && !b.Long {
					t.Skip("takes a minute; the embedded broker has its own test in fake time")
				}
				r.ask(newProbe(t, b))
			})
		}
	}
}

// Table is what the rows say, in Markdown.
func Table() string {
	var out strings.Builder
	all := append(chapters(), chapter{title: "Outliving"})
	for _, r := range outlivings() {
		last := &all[len(all)-1].rows
		*last = append(*last, row{name: r.name, artemis: r.artemis, classic: r.classic})
	}
	for _, c := range all {
		fmt.Fprintf(&out, "| %s | Artemis | Classic |\n|---|---|---|\n", c.title)
		for _, r := range c.rows {
			classic := r.classic
			if classic == r.artemis {
				classic = "the same"
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s |\n", r.name, r.artemis, classic)
		}
		out.WriteString("\n")
	}
	return out.String()
}
