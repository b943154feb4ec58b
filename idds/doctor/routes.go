package doctor

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
)

// badBroker is the place of what is wrong with the broker's configuration.
var badBroker = exitcode.BrokerRefused

// declare is what to do about a queue that an address does not feed.
const declare = "declare the queue in broker.xml, bound to the address, and an anycast address of its own name (docs/brokers.md)"

// route is an address with the queues that it should feed.
type route struct {
	address string
	queues  []string
	// may is a queue that there may be.
	may string
}

func (e *examination) routes() []route {
	results := route{address: message.TopicResults, queues: e.cfg.ResultQueues}
	if !slices.Contains(e.cfg.ResultQueues, message.QueueResultsWorker) && !e.classic() { // which would make it, for being asked
		results.may = message.QueueResultsWorker
	}
	return []route{{address: message.TopicSlices, queues: []string{message.QueueSlicesWorkers, message.QueueSlicesIDDS}}, results}
}

func (e *examination) queues() (all []string) {
	for _, r := range e.routes() {
		all = append(all, r.queues...)
	}
	return all
}

func (e *examination) destinations(ctx context.Context) {
	for _, r := range e.routes() {
		if !e.unreached(r.address) && ctx.Err() == nil {
			e.follow(ctx, r)
		}
	}
	for _, topic := range []string{message.TopicWorkers, message.TopicTransformer, message.TopicEpic} {
		if !e.unreached(topic) && ctx.Err() == nil {
			e.topic(ctx, topic)
		}
	}
}

// arrow names the way from an address to a queue.
func arrow(address, queue string) string { return address + " -> " + queue }

// follow sends a probe to an address and looks into which queues it comes.
func (e *examination) follow(ctx context.Context, r route) {
	ears := map[string]*ear{}
	bound := map[string]string{} // before our own subscriptions make addresses
	for _, queue := range append(slices.Clone(r.queues), r.may) {
		if queue == "" {
			continue
		}
		bound[queue] = e.boundTo(ctx, queue)
		a, err := e.listen(ctx, queue)
		switch {
		case err == nil:
			ears[queue] = a
			defer a.leave(ctx)
		case queue == r.may:
		case e.desk != nil && bound[queue] == "":
			e.report.problem(arrow(r.address, queue), badBroker, declare, "the broker has no such queue")
		default:
			e.report.problem(arrow(r.address, queue), badBroker, "see that the queue is declared and that the user has the permission consume; the broker's log says which it is",
				"the broker does not let us subscribe: %s", words(err))
		}
	}
	for _, queue := range e.fedToo(ctx, r) { // to take our probes from there too
		if a, err := e.listen(ctx, queue); err == nil {
			ears[queue] = a
			defer a.leave(ctx)
		}
	}
	began := time.Now()
	if err := e.send(ctx, r.address); err != nil {
		e.report.problem(r.address, badBroker, "give the user the permission send", "the broker does not take a message: %s", words(err))
		return
	}
	took := e.await(ctx, r.queues, ears, began)
	for i, queue := range r.queues {
		if took[i] > 0 {
			e.arrived(ctx, r.address, queue, took[i])
		}
	}
	for i, queue := range r.queues { // takes further probes
		if took[i] == 0 && ears[queue] != nil && ctx.Err() == nil {
			e.explain(ctx, r.address, queue, ears[queue], bound[queue])
		}
	}
	if a := ears[r.may]; a != nil {
		e.maybe(ctx, r, a, bound[r.may])
	}
	var wg sync.WaitGroup
	for _, a := range ears {
		wg.Go(func() { a.drain(ctx) })
	}
	wg.Wait()
}

// fedToo are queues that the address feeds beside those of the route: by the broker's own word with the address before the name,
// which a subscription to a queue that is there may have; or by what production has.
func (e *examination) fedToo(ctx context.Context, r route) (queues []string) {
	known := append(slices.Clone(r.queues), r.may)
	var bound []string
	if e.desk != nil && e.desk.call(ctx, "address."+r.address, "QueueNames", nil, &bound) == nil {
		for _, queue := range bound {
			if strings.HasPrefix(queue, "/queue/") && !slices.Contains(known, queue) {
				queues = append(queues, r.address+"::"+queue)
			}
		}
		return queues
	}
	for _, queue := range []string{message.QueueResultsFast, message.QueueResultsIDDS} {
		if r.address == message.TopicResults && !slices.Contains(known, queue) {
			queues = append(queues, queue)
		}
	}
	return queues
}

// await takes the probe from each queue and says when it came, 0 where it did not.
func (e *examination) await(ctx context.Context, queues []string, ears map[string]*ear, began time.Time) []time.Duration {
	took := make([]time.Duration, len(queues))
	var wg sync.WaitGroup
	for i, queue := range queues {
		if a := ears[queue]; a != nil {
			wg.Go(func() {
				if a.take(ctx, e.cfg.Limit) != nil {
					took[i] = time.Since(began)
				}
			})
		}
	}
	wg.Wait()
	return took
}

// arrived reports a good way, and whether anybody takes what comes on it.
func (e *examination) arrived(ctx context.Context, address, queue string, took time.Duration) {
	waiting, consumers := e.number(ctx, queue, "MessageCount"), e.number(ctx, queue, "ConsumerCount")-1 // one is ours
	name := arrow(address, queue)
	switch {
	case waiting > 0 && consumers == 0:
		e.report.add(name, Warning, "start its consumer, or unbind it: such a queue grows for ever",
			"a message arrives, within %s; there is no consumer, and %s in the queue", within(took), plural(waiting, "message"))
	case waiting >= 0 && consumers >= 0:
		e.report.add(name, OK, "", "a message arrives, within %s; %d wait, %s", within(took), waiting, plural(consumers, "consumer"))
	default:
		e.report.add(name, OK, "", "a message arrives, within %s", within(took))
	}
}

// within is a time that something took at most.
func within(d time.Duration) time.Duration { return d.Truncate(time.Millisecond) + time.Millisecond }

// more is how many further probes are sent when the first did not come: consumers without a selector take turns with us.
const more = 3

// explain finds out why a probe did not come.
func (e *examination) explain(ctx context.Context, address, queue string, a *ear, bound string) {
	name := arrow(address, queue)
	for range more {
		if err := e.send(ctx, address); err != nil {
			e.report.problem(name, badBroker, "see the broker's log", "the broker does not take a message any more: %s", words(err))
			return
		}
	}
	if a.take(ctx, e.cfg.Limit) != nil {
		e.report.add(name, Warning, "see that every consumer of the queue has a selector for its namespace",
			"messages arrive, but one was taken by another consumer, which has no selector")
		return
	}
	// A SEND to the queue's own name comes back only if our subscription made an address of it.
	own := e.send(ctx, queue) == nil && a.take(ctx, e.cfg.Limit) != nil
	switch {
	case bound == address && own:
		e.takeBack(ctx, address, queue)
		e.report.problem(name, badBroker, "declare an anycast address of the queue's name in broker.xml (docs/brokers.md)",
			"the queue gets the messages, but whoever subscribes to its name hears nothing: there is no anycast address of that name")
	case bound != "" && bound != address:
		e.report.problem(name, badBroker, declare, "nothing arrives: the queue is bound to %s", bound)
	case e.desk != nil && bound == "":
		e.report.problem(name, badBroker, declare, "nothing arrives: the broker has no such queue")
	case e.classic():
		e.report.problem(name, badBroker, "add the queue to forwardTo of the compositeTopic (docs/brokers.md)", "nothing arrives: the address does not feed the queue")
	case own:
		e.report.problem(name, badBroker, declare, "nothing arrives: the address does not feed the queue, or the queue has no anycast address of its name")
	case bound == address:
		e.report.problem(name, badBroker, "give every consumer of the queue a selector, or look whether the queue has a filter of its own",
			"nothing arrives although the queue is bound: other consumers take all, or a filter keeps it out")
	default:
		e.report.problem(name, badBroker, declare, "nothing arrives: the address does not feed the queue, or other consumers without a selector take all")
	}
}

// takeBack takes our probes from a queue that cannot be subscribed to by its name. The queue has to be there: a subscription would
// make one, which stays.
func (e *examination) takeBack(ctx context.Context, address, queue string) {
	a, err := e.listen(ctx, address+"::"+queue)
	if err != nil {
		return
	}
	defer a.leave(ctx)
	a.drain(ctx)
}

// maybe looks at a queue that only some brokers need.
func (e *examination) maybe(ctx context.Context, r route, a *ear, bound string) {
	name := arrow(r.address, r.may)
	switch {
	case a.take(ctx, straggler) != nil:
		e.arrived(ctx, r.address, r.may, straggler)
	case bound == r.address:
		e.explain(ctx, r.address, r.may, a, bound)
	default:
		e.report.add(name, NotChecked, "", "not bound; where the Python transceiver runs, name it in --result-queues")
	}
}

// topic looks whether everybody hears what is sent to an address.
func (e *examination) topic(ctx context.Context, address string) {
	var ears [2]*ear
	for i := range ears {
		a, err := e.listen(ctx, address)
		if err != nil {
			e.report.problem(address, badBroker, "give the user the permissions consume, createAddress, createNonDurableQueue and deleteNonDurableQueue; the broker's log says which it lacks",
				"the broker does not let us subscribe: %s", words(err))
			return
		}
		defer a.leave(ctx)
		ears[i] = a
	}
	sent := time.Now()
	if err := e.send(ctx, address); err != nil {
		e.report.problem(address, badBroker, "give the user the permission send", "the broker does not take a message: %s", words(err))
		return
	}
	first := ears[0].take(ctx, e.cfg.Limit)
	got := time.Now()
	second := ears[1].take(ctx, max(straggler, e.cfg.Limit-time.Since(sent)))
	if m := cmp.Or(first, second); m != nil {
		e.stamp(m, sent, got)
	}
	switch {
	case first != nil && second != nil:
		e.report.add(address, OK, "", "every subscriber hears a message, within %s", within(time.Since(sent)))
	case first == nil && second == nil:
		e.report.problem(address, badBroker, "declare it as a multicast address in broker.xml (docs/brokers.md)", "no subscriber hears a message")
	default:
		e.report.problem(address, badBroker, "declare it as a multicast address, not as an anycast one, in broker.xml (docs/brokers.md)",
			"only one of two subscribers hears a message: it is a queue")
	}
}

// list is a few names, however many there are.
func list(names []string) string {
	const few = 5
	if len(names) > few {
		return strings.Join(names[:few], "; ") + "; and more"
	}
	return strings.Join(names, "; ")
}
