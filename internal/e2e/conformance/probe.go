package conformance

import (
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// probe is one row being asked.
type probe struct {
	*testing.T
	Broker

	// name is this row's own: the namespace of its messages, and part of its destinations.
	name string
	// ended is how the broker ended before, if it did.
	ended End
}

func newProbe(t *testing.T, b Broker) *probe {
	t.Helper()
	return &probe{T: t, Broker: b, name: "conformance." + uuid.NewString()[:13]}
}

// queue and topic are destinations that nobody else uses.
func (p *probe) queue() string { return "/queue/" + p.name }
func (p *probe) topic() string { return "/topic/" + p.name }

// mine selects the row's messages in a queue that others use too.
func (p *probe) mine() string { return "namespace='" + p.name + "'" }

// deadLetters is where the broker puts what it gave up, expired where it puts what nobody took in time.
func (p *probe) deadLetters() string { return p.either("DLQ", "/queue/ActiveMQ.DLQ") }
func (p *probe) expired() string     { return p.either("ExpiryQueue", "/queue/ActiveMQ.DLQ") }

// either picks what holds for the broker.
func (p *probe) either(artemis, classic string) string {
	if p.Mode == Artemis {
		return artemis
	}
	return classic
}

// typed are the headers that make the row's own queue a queue on Artemis, where a name does not: of SEND and of SUBSCRIBE.
func (p *probe) typed(key, destination string) []string {
	if p.Mode == Artemis && strings.HasPrefix(destination, "/queue/conformance.") {
		return []string{key, "ANYCAST"}
	}
	return nil
}

// bodies must be those of the next messages, in this order; each is acknowledged.
func (p *probe) bodies(c *peer, want ...string) {
	p.Helper()
	for _, body := range want {
		m := c.message()
		if got := string(m.Body); got != body {
			p.Fatalf("got %q, want %q", got, body)
		}
		c.ack(m)
	}
}

// anyOrder is bodies, in any order.
func (p *probe) anyOrder(c *peer, want ...string) {
	p.Helper()
	var got []string
	for range want {
		m := c.message()
		got = append(got, string(m.Body))
		c.ack(m)
	}
	sort.Strings(got)
	sort.Strings(want)
	if !reflect.DeepEqual(got, want) {
		p.Fatalf("got %q, want %q", got, want)
	}
}
