package stomp_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stomp"
)

func TestHeadersAreEscapedAsTheirVersionWants(t *testing.T) {
	t.Parallel()
	const value = "a:b\\c\nd"
	for _, version := range []string{"1.1", "1.2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			c := pipe(t, []string{"version", version, "heart-beat", "0,0"}, func(p *peer) {
				f := p.next(frame.SEND)
				got <- f.Header.Get("odd")
				p.receipt(f)
			})
			r, err := c.Send(soon(t), "/queue/q", []byte("\x00body\x00"), "odd", value)
			if err == nil {
				err = r.Wait(soon(t))
			}
			if err != nil {
				t.Fatal(err)
			}
			if g := <-got; g != value {
				t.Errorf("got %q", g)
			}
			if c.Version() != version {
				t.Errorf("version %s", c.Version())
			}
		})
	}
}

func TestHeadersThatWouldBreakAFrameAreRefused(t *testing.T) {
	t.Parallel()
	c := pipe(t, plain, func(p *peer) { p.confirm() })
	for _, pair := range [][]string{{"receipt", "1"}, {"ack", "x"}, {"id", "x"}, {"", "x"}, {"key", "a\x00b"}, {"alone"}} {
		if _, err := c.Send(soon(t), "/queue/q", nil, pair...); err == nil {
			t.Errorf("%q was sent", pair)
		}
	}
	if c.Err() != nil {
		t.Error(c.Err())
	}
}

func TestAFrameBeyondTheLimitsEndsTheSessionBeforeItTakesTheMemory(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"body":                "MESSAGE\nsubscription:s\ncontent-length:1000000000000\n\n",
		"body without length": "MESSAGE\nsubscription:s\n\n" + strings.Repeat("x", 2<<20),
		"header":              "MESSAGE\nsubscription:" + strings.Repeat("x", 1<<20),
		"many headers":        "MESSAGE\n" + strings.Repeat("k:v\n", 1<<18),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer theirs.Close()
				p := newPeer(t, theirs)
				p.next(frame.CONNECT)
				p.send(frame.CONNECTED, plain...)
				_, _ = theirs.Write([]byte(text)) // it is not read to its end
				p.read()
			}()
			c, err := stomp.NewConn(t.Context(), ours, stomp.Config{MaxHeaderBytes: 64 << 10, MaxBodyBytes: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if err := await(t, c); err == nil || errors.Is(err, stomp.ErrClosed) {
				t.Errorf("got %v", err)
			}
			<-ended
		})
	}
}
