package msgqueue

import (
	"fmt"
	"slices"

	"tfpilot/internal/msgstore"
	"tfpilot/internal/selector"
)

// Subscribe makes a subscription and delivers what there is for it.
func (a *Addresses) Subscribe(w Wish, to Receiver) (*Subscription, error) {
	sel, err := selector.Parse(w.Selector, a.how.numbers)
	if err != nil {
		return nil, fmt.Errorf("selector: %w", err)
	}
	q, err := a.source(w, sel)
	if err != nil {
		return nil, err
	}
	s := &Subscription{addresses: a, receiver: to, selector: sel, auto: w.Auto, cumulative: w.Cumulative, window: w.Window}
	q.add(s)
	return s, nil
}

// source is the queue that a subscription takes its messages from.
func (a *Addresses) source(w Wish, sel *selector.Selector) (*queue, error) {
	if q := a.queues[w.Address]; q != nil && (a.how.namedQueues || !slices.Contains(a.cfg.Hidden, w.Address)) {
		return q, nil
	}
	if a.wantsQueue(w.Address, w.Kind) {
		return a.shared(w.Address), nil
	}
	return a.topicQueue(w, sel)
}

// shared makes a queue because a client wants one: it goes when it is empty and nobody listens.
func (a *Addresses) shared(address string) *queue {
	a.bind(address, address)
	q := a.queues[address]
	q.passing = true
	return q
}

// topicQueue is the queue of a subscription to a topic: its own, which ends with it, or, for a durable one, the queue
// CLIENT-ID.NAME, which stays and gathers what its first subscription selected.
func (a *Addresses) topicQueue(w Wish, sel *selector.Selector) (*queue, error) {
	if w.Durable == "" {
		q := a.newQueue("", w.Address)
		a.bound[w.Address] = append(a.bound[w.Address], q)
		return q, nil
	}
	if w.Client == "" {
		return nil, fmt.Errorf("durable-subscription-name %q without client-id", w.Durable)
	}
	name := durableName(w.Client, w.Durable)
	if q := a.queues[name]; q != nil {
		if q.address != w.Address {
			return nil, fmt.Errorf("durable subscription %s is of %s", name, q.address)
		}
		return q, nil
	}
	q := a.durable(name, w.Address, sel)
	q.kept = a.disk.Subscribed(q.name, q.address, q.filter.String())
	return q, nil
}

func durableName(client, name string) string { return client + "." + name }

// durable makes the queue of a durable subscription.
func (a *Addresses) durable(name, address string, sel *selector.Selector) *queue {
	a.bind(address, name)
	q := a.queues[name]
	q.durable, q.filter = true, sel
	return q
}

// Forget ends a durable subscription with what it holds, if nobody listens to it any more, and reports whether there was one.
func (a *Addresses) Forget(client, name string) bool {
	q := a.queues[durableName(client, name)]
	if q == nil || !q.durable { // another queue may be called so
		return false
	}
	if len(q.subs) == 0 {
		for e := q.pending.Front(); e != nil; e = e.Next() {
			if m, ok := e.Value.(*msgstore.Message); ok {
				a.disk.Gone(m)
			}
		}
		a.disk.Unsubscribed(q.kept)
		a.unbind(q)
	}
	return true
}

// release removes a queue that nobody listens to, if it does not outlive its subscriptions.
func (a *Addresses) release(q *queue) {
	if len(q.subs) == 0 && (q.name == "" || q.passing && q.pending.Len() == 0) {
		a.unbind(q)
	}
}

// unbind removes a queue from its address.
func (a *Addresses) unbind(q *queue) {
	if q.name != "" {
		delete(a.queues, q.name)
	}
	a.bound[q.address] = slices.DeleteFunc(a.bound[q.address], func(o *queue) bool { return o == q })
	if len(a.bound[q.address]) == 0 {
		delete(a.bound, q.address)
	}
}
