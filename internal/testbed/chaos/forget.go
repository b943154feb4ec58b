package chaos

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// forget ends the durable subscription that idds had under its namespace, which the broker would keep for ever. Our links
// cannot: they keep what they subscribe to.
func (c *chaos) forget(ctx context.Context) error {
	const limit = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.chain.Broker)
	if err != nil {
		return fmt.Errorf("ending the subscription of idds: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return fmt.Errorf("ending the subscription of idds: %w", err)
	}
	in, out := stompframe.NewReader(conn, stompframe.Limits{}), stompframe.NewWriter(conn)
	client := c.namespace + ".idds"
	connect := frame.New(frame.CONNECT, frame.AcceptVersion, "1.2", frame.Host, "/", "client-id", client)
	if c.cfg.Login != "" {
		connect.Header.Add(frame.Login, c.cfg.Login)
		connect.Header.Add(frame.Passcode, c.cfg.Passcode)
	}
	for _, f := range []*frame.Frame{
		connect,
		frame.New(frame.UNSUBSCRIBE, frame.Id, "runs", "durable-subscription-name", "runs", "activemq.subscriptionName", "runs", frame.Receipt, "1"),
	} {
		if err := out.Write(f); err != nil {
			return fmt.Errorf("ending the subscription of idds: %w", err)
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("ending the subscription of idds: %w", err)
		}
		answer, err := in.Read()
		if err != nil {
			return fmt.Errorf("ending the subscription of idds: %w", err)
		}
		if answer != nil && answer.Command == frame.ERROR {
			return fmt.Errorf("ending the subscription of idds: %s", answer.Header.Get(frame.Message))
		}
	}
	return nil
}
