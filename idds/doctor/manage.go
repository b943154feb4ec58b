package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tfpilot/internal/stomp"
)

// managementAddress is where Artemis answers questions about itself, if our user may ask.
const managementAddress = "activemq.management"

// desk asks a broker about itself.
type desk struct {
	*ear
	reply string
	limit time.Duration
}

// management opens the desk, and looks at what only the broker can say: what it does with a message that it gives up.
func (e *examination) management(ctx context.Context) {
	const name = "dead-letter address"
	if e.unreached(name) {
		return
	}
	if !e.artemis() {
		e.report.add(name, NotChecked, "", "%s cannot be asked over STOMP", e.name)
		return
	}
	reply := e.probe + ".answers"
	a, err := e.hear(ctx, reply, "", probeWindow)
	if err == nil {
		e.desk = &desk{a, reply, e.cfg.Limit}
		err = e.addressSettings(ctx, name)
	}
	if err != nil {
		if e.desk != nil {
			e.desk.leave(ctx)
			e.desk = nil
		}
		e.report.add(name, NotChecked, "give the user the permission manage, or look into broker.xml: dead-letter-address",
			"the broker does not let us ask (%s)", words(err))
	}
}

func (e *examination) addressSettings(ctx context.Context, name string) error {
	var lost []string
	for _, queue := range e.queues() {
		var text string
		if err := e.desk.call(ctx, "broker", "getAddressSettingsAsJSON", []any{queue}, &text); err != nil {
			return err
		}
		var s map[string]any // with names of Artemis' own
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return fmt.Errorf("reading the settings of %s: %w", queue, err)
		}
		if address, _ := s["deadLetterAddress"].(string); address == "" && s["maxDeliveryAttempts"] != forEver {
			lost = append(lost, queue)
		}
	}
	if len(lost) > 0 {
		e.report.problem(name, badBroker, "set dead-letter-address in address-settings of broker.xml (docs/brokers.md)",
			"without one the broker deletes what it gives up: %s", list(lost))
		return nil
	}
	e.report.add(name, OK, "", "every queue has one")
	return nil
}

// forEver is the number of deliveries of a message that is never given up.
const forEver = -1.0

// call asks for an operation, or for an attribute when there are no arguments.
func (d *desk) call(ctx context.Context, resource, what string, args []any, into any) error {
	headers := []string{"reply-to", d.reply, "_AMQ_ResourceName", resource}
	if args == nil {
		headers = append(headers, "_AMQ_Attribute", what)
	} else {
		headers = append(headers, "_AMQ_OperationName", what)
	}
	body, err := json.Marshal(append([]any{}, args...))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.limit)
	defer cancel()
	r, err := d.conn.Send(ctx, managementAddress, body, headers...)
	if err == nil {
		err = r.Wait(ctx)
	}
	if err != nil {
		return fmt.Errorf("asking the broker for %s: %w", what, err)
	}
	m := d.take(ctx, d.limit)
	if m == nil {
		return fmt.Errorf("asking the broker for %s: no answer within %s", what, d.limit)
	}
	return answer(m, what, into)
}

// answer decodes a list with one value, as Artemis wraps it.
func answer(m *stomp.Message, what string, into any) error {
	var values []json.RawMessage
	err := json.Unmarshal(m.Body, &values)
	if err != nil || len(values) != 1 || m.Header.Get("_AMQ_OperationSucceeded") != "true" {
		return fmt.Errorf("asking the broker for %s: it says %.100s", what, m.Body)
	}
	return json.Unmarshal(values[0], into)
}

// number asks for an attribute of a queue, -1 when there is no such queue or nobody to ask.
func (e *examination) number(ctx context.Context, queue, attribute string) int {
	n := -1
	if e.desk != nil && e.desk.call(ctx, "queue."+queue, attribute, nil, &n) != nil {
		return -1
	}
	return n
}

// boundTo is the address that feeds a queue, empty when there is no such queue or nobody to ask.
func (e *examination) boundTo(ctx context.Context, queue string) (address string) {
	if e.desk == nil || e.desk.call(ctx, "queue."+queue, "Address", nil, &address) != nil {
		return ""
	}
	return address
}
