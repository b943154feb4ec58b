package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tfpilot/internal/message"
	"tfpilot/internal/stomp"
)

// ear is a subscription on a connection of its own: a refusal ends no other.
type ear struct {
	conn *stomp.Conn
	sub  *stomp.Subscription
}

// listen subscribes for our probes alone.
func (e *examination) listen(ctx context.Context, destination string) (*ear, error) {
	return e.hear(ctx, destination, "run_id='"+e.probe+"'", probeWindow)
}

// probeWindow is bytes on Artemis: room for more probes than there are.
const probeWindow = 1 << 16

func (e *examination) hear(ctx context.Context, destination, selector string, window int) (*ear, error) {
	conn, err := e.line(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limit)
	defer cancel()
	sub, err := conn.Subscribe(ctx, stomp.SubscribeOptions{Destination: destination, Selector: selector, Window: window})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &ear{conn, sub}, nil
}

// next waits for a message, nil when none comes in time.
func (a *ear) next(ctx context.Context, limit time.Duration) *stomp.Message {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case m := <-a.sub.Messages(): // nil when the connection has ended
		return m
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}

// take waits for a probe and takes it off the broker. It returns when that was, nil when none came.
func (a *ear) take(ctx context.Context, limit time.Duration) (m *stomp.Message) {
	if m = a.next(ctx, limit); m != nil {
		if r, err := a.conn.Ack(ctx, m); err == nil {
			_ = r.Wait(ctx)
		}
	}
	return m
}

// leaveLimit bounds the goodbye of a connection, also when the examination was interrupted.
const leaveLimit = 2 * time.Second

// leave takes the last probes along and gives back what is not ours, uncounted.
func (a *ear) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveLimit)
	defer cancel()
	_ = a.sub.Unsubscribe(ctx)
	_ = a.conn.Disconnect(ctx)
}

// drain takes away probes that came after they were waited for.
func (a *ear) drain(ctx context.Context) {
	for a.take(ctx, straggler) != nil {
	}
}

// straggler is how long a copy may lag behind one that has come.
const straggler = 100 * time.Millisecond

// send publishes a probe on a connection of its own and returns when the broker has it.
func (e *examination) send(ctx context.Context, destination string, headers ...string) error {
	conn, err := e.line(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limit)
	defer cancel()
	now := time.Now()
	body, err := json.Marshal(map[string]any{
		"msg_type": message.TypeHeartbeat, "namespace": e.probe, "run_id": e.probe, "sender": "idds doctor", "internal_id": e.probe,
		"timestamp": float64(now.UnixMilli()) / 1000, "created_at": message.At(now),
	})
	if err != nil {
		return err
	}
	e.count++
	expires := now.Add(6*e.cfg.Limit + 30*time.Second).UnixMilli()
	r, err := conn.Send(ctx, destination, body, append([]string{
		"msg_type", message.TypeHeartbeat, "namespace", e.probe, "run_id", e.probe, "vo", message.VO, "expires", strconv.FormatInt(expires, 10),
	}, headers...)...)
	if err != nil {
		return err
	}
	return r.Wait(ctx)
}

// words is what a broker said, without what we put around it.
func words(err error) string {
	if refused, ok := errors.AsType[*stomp.ServerError](err); ok {
		return fmt.Sprintf("%.160s", refused.Error()) // Artemis prints whole messages
	}
	return err.Error()
}
