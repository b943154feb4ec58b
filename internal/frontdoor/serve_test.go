package frontdoor_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tfpilot/internal/frontdoor"
)

func TestTheEndWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	began, ending := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-ending
		_, _ = io.Copy(w, strings.NewReader(strings.Repeat("x", 1<<20)))
		finished.Store(true)
	})}
	ctx, end := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- frontdoor.Serve(ctx, srv, func() error {
			defer close(ending)
			return srv.Serve(ln)
		})
	}()
	answered := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String(), http.NoBody)
		if err != nil {
			t.Error(err)
		}
		var n int64
		if resp, err := http.DefaultClient.Do(req); err != nil {
			t.Error(err)
		} else {
			n, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		answered <- int(n)
	}()
	<-began
	end()
	if err := <-served; err != nil || !finished.Load() {
		t.Errorf("it has ended before the request: %v, %v", !finished.Load(), err)
	}
	if n := <-answered; n != 1<<20 {
		t.Errorf("%d bytes of the answer", n)
	}
}
