package frontdoor

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Serve serves until ctx ends, then lets requests under way finish.
func Serve(ctx context.Context, srv *http.Server, serve func() error) error {
	finished := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(finished)
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = srv.Shutdown(short)
	})
	err := serve()
	if !stop() { // serve returns when the end begins, and the program is not to end before that of the requests
		<-finished
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
