package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"tfpilot/idds"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/stomp"
)

// Config is what is examined: that of the service, and what the service does not need to know.
type Config struct {
	Broker  broker.Config
	Service idds.Config
	State   string

	// ResultQueues are the queues that every result has to reach.
	ResultQueues []string
	// IDCacheSize is how many duplicate ids the broker remembers for an address, when it does not say itself.
	IDCacheSize int
	// Limit is how long a message may take.
	Limit time.Duration

	// Store reads the facts of the store; nil facts: there is none yet.
	Store func(ctx context.Context) (*ledger.StoreFacts, error)
	// Running says whether a service works on the state, and Actors asks it, or the store, for second actors.
	Running func(ctx context.Context) (Instance, error)
	Actors  func(ctx context.Context) ([]document.Actor, error)
	// Access looks at tokens and certificates; nobody does when nil.
	Access func(ctx context.Context) Access
}

// Instance is the service on the state, if there is one.
type Instance struct {
	Locked bool
	// Addr is where it should answer; Err why it does not. Unknown when Addr is empty. Assumed: nobody said that it is there.
	Addr    string
	Err     error
	Assumed bool
}

// examination is one call of Examine.
type examination struct {
	cfg    Config
	report Report

	addr  string // of the broker that answered
	name  string // what that broker says it is
	probe string // namespace and run of our probes
	desk  *desk  // the broker's management, nil when it does not answer us
	count int    // of probes sent

	clock offset
	facts *ledger.StoreFacts
	live  Instance
}

// Examine makes all checks. Its error is that of ctx; the report is then what there was until then.
func Examine(ctx context.Context, cfg Config) (Report, error) {
	e := &examination{cfg: cfg, probe: "idds-doctor-" + strings.ToLower(rand.Text()[:10])}
	for _, check := range []func(context.Context){
		e.namespace, e.state, e.disk, e.store, e.service, e.access, e.connect, e.management, e.destinations, e.duplicates, e.idCache, e.deadLetters, e.actors, e.clocks,
	} {
		if ctx.Err() != nil {
			break
		}
		check(ctx)
	}
	if e.desk != nil {
		e.desk.leave(ctx)
	}
	e.report.OK = e.report.Err() == nil
	return e.report, context.Cause(ctx)
}

// artemis reports whether the broker is an Artemis. The embedded one behaves as one, but there is nobody to ask about it.
func (e *examination) artemis() bool { return strings.HasPrefix(e.name, "ActiveMQ-Artemis/") }

func (e *examination) classic() bool { return strings.HasPrefix(e.name, "ActiveMQ/") }

// namespace looks whether the name is one to work with.
func (e *examination) namespace(context.Context) {
	const name = "namespace"
	ns := e.cfg.Service.Namespace
	switch {
	case strings.ContainsFunc(ns, func(r rune) bool { return r <= ' ' || r == '\'' || r > '~' }):
		e.report.add(name, Warning, "choose letters, digits and dashes, and give every component the same",
			"%q has blanks, quotes or letters that not every component writes in the same way", ns)
	case ns == "default":
		e.report.add(name, OK, "", "%q, which is also that of the Python fast-processing agent when it is given none", ns)
	default:
		e.report.add(name, OK, "", "%q", ns)
	}
}

// line is a connection to the broker that was found.
func (e *examination) line(ctx context.Context) (*stomp.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Broker.DialLimit)
	defer cancel()
	session, err := e.cfg.Broker.Session()
	if err != nil {
		return nil, err
	}
	session.ClientID, session.ReceiptLimit = e.probe+"-"+rand.Text()[:6], e.cfg.Limit
	return stomp.Dial(ctx, e.addr, session)
}

// unreached says of a check that needs the broker why it was not made.
func (e *examination) unreached(names ...string) bool {
	if e.addr != "" {
		return false
	}
	for _, name := range names {
		e.report.add(name, NotChecked, "", "there is no broker to ask")
	}
	return true
}

// since is a time as a table shows it.
func since(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
