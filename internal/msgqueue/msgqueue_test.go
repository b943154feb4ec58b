package msgqueue_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-stomp/stomp/v3/frame"
	"github.com/google/go-cmp/cmp"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/msgqueue"
	"tfpilot/internal/msgstore"
)

// rig is a topic with two queues, and a queue of its own.
type rig struct {
	t *testing.T
	*msgqueue.Addresses
}

func setup(t *testing.T, change func(cfg *msgqueue.Config)) rig {
	t.Helper()
	cfg := msgqueue.Config{
		FanOut: map[string][]string{"topic": {"left", "right"}}, Queues: []string{"a", "x.y"},
		MaxDeliveries: 2, IDCacheSize: 10, QueueLimit: 100, QueueBytes: 1 << 20, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := msgqueue.New(nil, msgstore.Restored{}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return rig{t, a}
}

func classic(cfg *msgqueue.Config) { cfg.Classic = true }

// msg is a message of one address with so many headers: name, value, and so on.
func msg(address, body string, headers ...string) *msgstore.Message {
	return &msgstore.Message{Address: address, Body: []byte(body), Header: frame.NewHeader(headers...), At: time.Now()}
}

// send sends each text by itself.
func (r rig) send(address string, bodies ...string) {
	r.t.Helper()
	for _, body := range bodies {
		if _, err := r.Route(msg(address, body)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// inbox is what a receiver was given.
type inbox struct {
	*msgqueue.Subscription
	full bool
	got  []string
	last *msgstore.Message
	from string // of the last
}

func (i *inbox) Room() bool { return !i.full }

func (i *inbox) Deliver(m *msgstore.Message, from string) {
	i.got, i.last, i.from = append(i.got, string(m.Body)), m, from
}

func (i *inbox) has(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, i.got); diff != "" {
		t.Error(diff)
	}
}

func (r rig) subscribe(w msgqueue.Wish) *inbox {
	r.t.Helper()
	i := &inbox{}
	var err error
	if i.Subscription, err = r.Subscribe(w, i); err != nil {
		r.t.Fatal(err)
	}
	return i
}

func (r rig) stat(queue string) msgqueue.Stat {
	r.t.Helper()
	all := r.Stats()
	i := slices.IndexFunc(all, func(s msgqueue.Stat) bool { return s.Name == queue })
	if i < 0 {
		return msgqueue.Stat{}
	}
	return all[i]
}

func auto(address string) msgqueue.Wish {
	return msgqueue.Wish{Address: address, Auto: true, Window: msgqueue.Unlimited}
}

func TestMessagesAreInAllQueuesOfTheirAddressesOrInNone(t *testing.T) {
	t.Parallel()
	r := setup(t, func(cfg *msgqueue.Config) { cfg.QueueLimit = 2 })
	left := r.subscribe(auto("left"))
	r.send("topic", "1", "2")
	if _, err := r.Route(msg("a", "not alone"), msg("topic", "3")); err == nil || !strings.Contains(err.Error(), "queue right is full (2 messages") {
		t.Errorf("got %v", err)
	}
	left.has(t, "1", "2")
	if s := r.stat("a"); s.Added != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAQueueIsBoundToOneAddress(t *testing.T) {
	t.Parallel()
	_, err := msgqueue.New(nil, msgstore.Restored{}, msgqueue.Config{FanOut: map[string][]string{"s": {"q"}, "t": {"q"}}})
	if exitcode.From(err) != exitcode.BadConfig || !strings.Contains(err.Error(), "queue q is bound to ") {
		t.Errorf("got %v", err)
	}
}

func TestAMessageGoesToOneSubscriptionInTurnThatWantsIt(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	first, second := r.subscribe(auto("a")), r.subscribe(auto("a"))
	odd := auto("a")
	odd.Selector = "kind = 'odd'"
	third := r.subscribe(odd)
	r.send("a", "1", "2")
	if _, err := r.Route(msg("a", "3", "kind", "odd")); err != nil {
		t.Fatal(err)
	}
	r.send("a", "4", "5", "6")
	first.has(t, "1", "4", "6")
	second.has(t, "2", "5")
	third.has(t, "3")
	if _, err := r.Subscribe(msgqueue.Wish{Address: "a", Selector: "kind ="}, first); err == nil || !strings.HasPrefix(err.Error(), "selector: ") {
		t.Errorf("got %v", err)
	}
}

func TestNoMoreIsUnsettledThanTheWindowHolds(t *testing.T) {
	t.Parallel()
	// A message of these has about 200 bytes.
	for name, c := range map[string]struct {
		change func(*msgqueue.Config)
		wish   msgqueue.Wish
		want   int
	}{
		"none is one":                  {nil, msgqueue.Wish{}, 1},
		"one":                          {nil, msgqueue.Wish{Window: 1}, 1},
		"bytes":                        {nil, msgqueue.Wish{Window: 500}, 3},
		"of what settles itself, once": {nil, msgqueue.Wish{Window: 500, Auto: true}, 3},
		"Classic counts":               {classic, msgqueue.Wish{Window: 2}, 2},
		"and none is none":             {classic, msgqueue.Wish{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := setup(t, c.change)
			r.send("a", "1", "2", "3", "4", "5")
			c.wish.Address = "a"
			i := r.subscribe(c.wish)
			if len(i.got) != c.want {
				t.Errorf("got %v", i.got)
			}
			if held := i.Held(); !c.wish.Auto && len(held) > 0 {
				i.Settle(0, false)
				if len(i.got) != c.want+1 {
					t.Errorf("after one is settled %v", i.got)
				}
			}
		})
	}
	r := setup(t, nil)
	slow := r.subscribe(auto("a"))
	slow.full = true
	r.send("a", "1", "2")
	slow.has(t)
	slow.full = false
	slow.Serve()
	slow.has(t, "1", "2")
}

func TestSettlingIsOfOneOrOfAllBefore(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	one := r.subscribe(msgqueue.Wish{Address: "left", Window: msgqueue.Unlimited})
	all := r.subscribe(msgqueue.Wish{Address: "right", Window: msgqueue.Unlimited, Cumulative: true})
	r.send("topic", "1", "2", "3")
	one.Settle(1, false)
	all.Settle(1, false)
	left := func(i *inbox) (bodies []string) {
		for _, m := range i.Held() {
			bodies = append(bodies, string(m.Body))
		}
		return bodies
	}
	if got := left(one); !slices.Equal(got, []string{"1", "3"}) {
		t.Errorf("got %v", got)
	}
	if got := left(all); !slices.Equal(got, []string{"3"}) {
		t.Errorf("got %v", got)
	}
}

func TestWhatIsGivenBackComesFirstAndNotToWhoLeaves(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	mine := msgqueue.Wish{Address: "a", Window: 1}
	first, second := r.subscribe(mine), r.subscribe(mine)
	r.send("a", "1", "2", "3")
	r.GiveBack(true, first.Subscription, second.Subscription)
	first.has(t, "1")
	second.has(t, "2")
	next := r.subscribe(auto("a"))
	next.has(t, "1", "2", "3")
	if s := r.stat("a"); s.Consumers != 1 || s.InFlight != 0 || s.Depth != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAMessageLostTooOftenIsADeadLetterThatSaysWhereItWas(t *testing.T) {
	t.Parallel()
	lose := func(r rig, queue string) (deliveries int) {
		i := r.subscribe(msgqueue.Wish{Address: queue, Window: 1})
		if i.last != nil {
			deliveries = i.last.Deliveries
		}
		r.GiveBack(true, i.Subscription)
		return deliveries
	}
	r := setup(t, nil)
	r.send("topic", "1")
	released := r.subscribe(msgqueue.Wish{Address: "left", Window: 1})
	r.GiveBack(false, released.Subscription)
	if n := lose(r, "left"); n != 0 {
		t.Errorf("what was released has failed %d times", n)
	}
	lose(r, "left")
	dead := r.subscribe(auto("DLQ"))
	dead.has(t, "1")
	if h := dead.last.Header; h.Get(message.HeaderOriginalQueue) != "left" || h.Get(message.HeaderOriginalAddress) != "topic" {
		t.Errorf("%v", h)
	}
	if s := r.stat("left"); s.Dead != 1 || s.Depth != 0 {
		t.Errorf("%+v", s)
	}

	r = setup(t, classic)
	r.send("topic", "1")
	for range 5 {
		lose(r, "left")
	}
	if s := r.stat("left"); s.Dead != 0 || s.Depth != 1 {
		t.Errorf("Classic: %+v", s)
	}
}

func TestWhatIsTooOldIsMovedAndNotDelivered(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	m := msg("a", "old")
	m.Expires = m.At.Add(time.Hour)
	if _, err := r.Route(m); err != nil {
		t.Fatal(err)
	}
	r.Expire(m.At)
	if s := r.stat("a"); s.Depth != 1 {
		t.Errorf("%+v", s)
	}
	r.Expire(m.At.Add(2 * time.Hour))
	gone := r.subscribe(auto("ExpiryQueue"))
	gone.has(t, "old")
	if s := r.stat("a"); s.Depth != 0 || s.Expired != 1 {
		t.Errorf("%+v", s)
	}
}

func TestClassicSaysOfWhichQueueAMessageComes(t *testing.T) {
	t.Parallel()
	named := func(cfg *msgqueue.Config) { cfg.FanOut = map[string][]string{"topic": {"/queue/left"}} }
	for want, change := range map[string]func(*msgqueue.Config){
		"topic":       named,
		"/queue/left": func(cfg *msgqueue.Config) { named(cfg); classic(cfg) },
	} {
		r := setup(t, change)
		i := r.subscribe(auto("/queue/left"))
		r.send("topic", "1")
		if i.from != want {
			t.Errorf("from %s, not %s", i.from, want)
		}
	}
}

func TestAnAddressRemembersDuplicateIDs(t *testing.T) {
	t.Parallel()
	again := func(r rig) (repeated bool, added uint64) {
		for range 2 {
			var err error
			if repeated, err = r.Route(msg("a", "1", message.HeaderDuplicateID, "x")); err != nil {
				t.Fatal(err)
			}
		}
		return repeated, r.stat("a").Added
	}
	if repeated, added := again(setup(t, nil)); !repeated || added != 1 {
		t.Errorf("%t, %d", repeated, added)
	}
	if repeated, added := again(setup(t, classic)); repeated || added != 2 {
		t.Errorf("Classic: %t, %d", repeated, added)
	}
}

func TestATopicIsGatheredForWhoListensOrIsDurable(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	r.send("news", "nobody")
	if unrouted, _ := r.Unrouted(); unrouted != 1 {
		t.Errorf("%d", unrouted)
	}
	durable := auto("news")
	durable.Client, durable.Durable, durable.Selector = "me", "mine", "kind IS NULL"
	passing, mine := r.subscribe(auto("news")), r.subscribe(durable)
	r.send("news", "1")
	r.GiveBack(false, passing.Subscription, mine.Subscription)
	r.send("news", "2")
	if _, err := r.Route(msg("news", "3", "kind", "other")); err != nil {
		t.Fatal(err)
	}
	passing.has(t, "1")
	r.subscribe(durable).has(t, "2")
	for want, w := range map[string]msgqueue.Wish{
		"without client-id":                    {Address: "news", Durable: "mine"},
		"durable subscription me.mine is of n": {Address: "other", Client: "me", Durable: "mine"},
	} {
		if _, err := r.Subscribe(w, passing); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v", err)
		}
	}
}

func TestADurableSubscriptionIsForgottenWhenNobodyListens(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	durable := auto("news")
	durable.Client, durable.Durable = "me", "mine"
	mine := r.subscribe(durable)
	if !r.Forget("me", "mine") || r.stat("me.mine").Name == "" {
		t.Error("somebody listens")
	}
	r.GiveBack(false, mine.Subscription)
	if !r.Forget("me", "mine") || r.stat("me.mine").Name != "" || r.Forget("me", "mine") {
		t.Error("it is there")
	}
	r.send("x.y", "1")
	if r.Forget("x", "y") || r.stat("x.y").Depth != 1 {
		t.Error("a queue that is no subscription is gone, because of its name")
	}
}

func TestAQueueMadeOnDemandEndsWhenItIsEmptyAndNobodyListens(t *testing.T) {
	t.Parallel()
	r := setup(t, nil)
	i := r.subscribe(msgqueue.Wish{Address: "jobs", Kind: "ANYCAST", Window: 1})
	r.send("jobs", "1")
	r.GiveBack(false, i.Subscription)
	if s := r.stat("jobs"); s.Depth != 1 {
		t.Errorf("%+v", s)
	}
	i = r.subscribe(auto("jobs"))
	i.has(t, "1")
	r.GiveBack(false, i.Subscription)
	if s := r.stat("jobs"); s.Name != "" {
		t.Errorf("%+v", s)
	}
}
