package frontdoor_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/frontdoor"
	"tfpilot/internal/testkit"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a server with room for ten, which says how long a body was.
func house(t *testing.T, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprint(w, n)
	}))
	frontdoor.NewDoorman(10).Guard(srv.Config)
	start(srv)
	t.Cleanup(srv.Close)
	return srv
}

// crowd comes with a hundred connections that send a beginning, and waits until the first were sent away.
func crowd(t *testing.T, srv *httptest.Server, beginning string) {
	t.Helper()
	for i := range 100 {
		conn := dial(t, srv)
		_, err := io.WriteString(conn, beginning)
		if i == 0 {
			must(t, err)
			t.Cleanup(func() { expectEnd(t, conn) })
		}
	}
}

// hello is a request with a body, which has to be answered.
func hello(t *testing.T, srv *httptest.Server) (proto string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("hello"))
	must(t, err)
	resp, err := srv.Client().Do(req)
	must(t, err)
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); string(text) != "5" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	return resp.Proto
}

func dial(t *testing.T, srv *httptest.Server) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(testkit.Patience)))
	return conn
}

// expectEnd waits until the other side has hung up.
func expectEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("it is still there")
	}
}

func TestWhoKeepsTheHouseWaitingMakesRoomForWhoComes(t *testing.T) {
	t.Parallel()
	for name, beginning := range map[string]string{
		"Silent":     "",
		"SlowHeader": "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"SlowBody":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := house(t, (*httptest.Server).Start)
			crowd(t, srv, beginning)
			for range 3 {
				hello(t, srv)
			}
		})
	}
	t.Run("HalfAHandshake", func(t *testing.T) {
		t.Parallel()
		srv := house(t, (*httptest.Server).StartTLS)
		crowd(t, srv, "\x16\x03\x01\x02\x00\x01") // the beginning of a greeting
		hello(t, srv)
	})
}

func TestARequestThatIsWorkedOnIsNotInterrupted(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-goOn
		w.WriteHeader(http.StatusNoContent)
	}))
	frontdoor.NewDoorman(2).Guard(srv.Config)
	watch, idle := srv.Config.ConnState, make(chan struct{})
	srv.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		if watch(conn, state); state == http.StateIdle {
			close(idle)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	conn := dial(t, srv)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	<-began
	crowd(t, srv, "")
	close(goOn)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("status %d", resp.StatusCode)
	}
	<-idle // the answer is out before the doorman hears of that
	crowd(t, srv, "")
	expectEnd(t, conn)
}

func TestARequestOverTLSIsServedInAFullHouse(t *testing.T) {
	t.Parallel()
	srv := house(t, func(srv *httptest.Server) {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	})
	crowd(t, srv, "")
	if proto := hello(t, srv); proto != "HTTP/2.0" {
		t.Error(proto)
	}
}
