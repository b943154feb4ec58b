package faultproxy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/faultproxy"
	"tfpilot/internal/testkit"
)

var must = testkit.Must

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local port
	must(t, err)
	return ln
}

// ends is a proxy with one link: the client's end and the target's.
func ends(t *testing.T, prepare ...func(*faultproxy.Proxy)) (p *faultproxy.Proxy, client, target *net.TCPConn) {
	t.Helper()
	far, near := listen(t), listen(t)
	t.Cleanup(func() { _ = far.Close() })
	p = faultproxy.New(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", far.Addr().String())
	}, rand.N[time.Duration])
	for _, f := range prepare {
		f(p)
	}
	client, target = serve(t, p, near, far)
	return p, client, target
}

// serve lets a proxy serve one link, until the test ends: the client's end and the target's.
func serve(t *testing.T, p *faultproxy.Proxy, near, far net.Listener) (client, target *net.TCPConn) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, near) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	c, err := net.Dial("tcp", near.Addr().String()) //nolint:noctx // a local port
	must(t, err)
	f, err := far.Accept()
	must(t, err)
	client, target = c.(*net.TCPConn), f.(*net.TCPConn)
	t.Cleanup(func() {
		_ = client.Close()
		_ = target.Close()
	})
	for _, end := range []net.Conn{client, target} {
		must(t, end.SetDeadline(time.Now().Add(testkit.Patience)))
	}
	return client, target
}

func read(tb testing.TB, c net.Conn, want string) {
	tb.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		tb.Errorf("read %q, %v, want %q", b, err, want)
	}
}

func write(tb testing.TB, c net.Conn, text string) {
	tb.Helper()
	_, err := c.Write([]byte(text))
	must(tb, err)
}

// silent is true when nothing can be read for a moment.
func silent(tb testing.TB, c net.Conn) bool {
	tb.Helper()
	must(tb, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	must(tb, c.SetReadDeadline(time.Now().Add(testkit.Patience)))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func TestAGoodLinkPassesBytesAndTheEndOfEachDirection(t *testing.T) {
	t.Parallel()
	p, client, target := ends(t)
	write(t, client, "up")
	read(t, target, "up")
	must(t, client.CloseWrite())
	if _, err := target.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	write(t, target, "down")
	read(t, client, "down")
	if now, ever := p.Links(); now != 1 || ever != 1 {
		t.Errorf("%d links, %d ever", now, ever)
	}
}

// ear keeps what it hears.
type ear struct {
	mu     sync.Mutex
	heard  bytes.Buffer
	closed chan struct{}
}

func (e *ear) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard.Write(b)
}

func (e *ear) Close() error {
	close(e.closed)
	return nil
}

func TestWhoListensInHearsWhatTheTargetGetsAndNoMore(t *testing.T) {
	t.Parallel()
	e := &ear{closed: make(chan struct{})}
	p, client, target := ends(t, func(p *faultproxy.Proxy) { p.ListenIn(func() io.WriteCloser { return e }) })
	write(t, client, "up")
	read(t, target, "up")
	write(t, target, "down")
	read(t, client, "down")
	p.Set(faultproxy.Conditions{Up: faultproxy.Direction{Hold: true}})
	write(t, client, "held")
	p.Cut()
	<-e.closed
	e.mu.Lock()
	defer e.mu.Unlock()
	if got := e.heard.String(); got != "up" {
		t.Errorf("heard %q", got)
	}
}

func TestAHeldDirectionIsSilentTheOtherIsNotAndNothingIsLost(t *testing.T) {
	t.Parallel()
	p, client, target := ends(t)
	p.Set(faultproxy.Conditions{Up: faultproxy.Direction{Hold: true}})
	write(t, client, "one ")
	write(t, target, "down")
	read(t, client, "down")
	if !silent(t, target) {
		t.Error("a held byte arrived")
	}
	write(t, client, "two")
	p.Set(faultproxy.Conditions{})
	read(t, target, "one two")
}

func TestCutIsAnEndAndResetAnErrorAlsoOfAHeldLink(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(*faultproxy.Proxy) int
		want error
	}{
		"cut":   {(*faultproxy.Proxy).Cut, io.EOF},
		"reset": {(*faultproxy.Proxy).Reset, syscall.ECONNRESET},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client, target := ends(t)
			hold := faultproxy.Direction{Hold: true}
			p.Set(faultproxy.Conditions{Up: hold, Down: hold})
			if n := c.end(p); n != 1 {
				t.Errorf("%d links ended", n)
			}
			for _, end := range []net.Conn{client, target} {
				if _, err := end.Read(make([]byte, 1)); !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			}
		})
	}
}

func TestResetIsAnErrorAlsoWhileTheTargetIsBeingDialled(t *testing.T) {
	t.Parallel()
	far, near := listen(t), listen(t)
	defer far.Close()
	reset := make(chan struct{})
	p := faultproxy.New(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", far.Addr().String())
		if err != nil {
			return nil, err
		}
		select {
		case <-reset:
			return c, nil
		case <-ctx.Done():
			_ = c.Close()
			return nil, ctx.Err()
		}
	}, rand.N[time.Duration])
	client, target := serve(t, p, near, far)
	if n := p.Reset(); n != 1 {
		t.Errorf("%d links ended", n)
	}
	close(reset)
	for _, end := range []net.Conn{client, target} {
		if _, err := end.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
	}
}

func TestARefusedConnectionEndsAtOnce(t *testing.T) {
	t.Parallel()
	p, client, _ := ends(t)
	p.Set(faultproxy.Conditions{Refuse: true})
	second, err := net.Dial("tcp", client.RemoteAddr().String()) //nolint:noctx // a local port
	must(t, err)
	defer second.Close()
	must(t, second.SetDeadline(time.Now().Add(testkit.Patience)))
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

func TestASlowRaggedLineKeepsEveryByteInOrder(t *testing.T) {
	t.Parallel()
	p, client, target := ends(t)
	d := faultproxy.Direction{Delay: time.Millisecond, Jitter: 3 * time.Millisecond, Piece: 1, BytesPerSecond: 1 << 20}
	p.Set(faultproxy.Conditions{Up: d, Down: d})
	sent := make([]byte, 5000)
	for i := range sent {
		sent[i] = byte(i * i >> 3)
	}
	go func() {
		for part := range slices.Chunk(sent, 100) {
			_, _ = client.Write(part) // a failure shows as bytes that are missing
		}
		_ = client.CloseWrite()
	}()
	got, err := io.ReadAll(target)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
	}
}
