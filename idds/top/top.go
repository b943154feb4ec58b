package top

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
	"tfpilot/internal/program"
)

// Source is idds.
type Source interface {
	// Follow hands over events until the stream ends; the board whose id is seen does not come again.
	Follow(ctx context.Context, seen string, each func(document.Event) error) error
	Workers(ctx context.Context) ([]document.Worker, error)
}

// Config is where it is shown.
type Config struct {
	In  io.Reader
	Out io.Writer
	// Screen says that Out is a terminal, JSON that boards are written as lines of JSON where it is none.
	Screen, JSON bool
	Colours      bool
	// ASCII says that the terminal shows no other characters.
	ASCII bool
	// Width and Height are its size, where it cannot be asked.
	Width, Height int
}

const (
	// firstWait and mostWait are the pauses before idds is tried again.
	firstWait, mostWait = 500 * time.Millisecond, 5 * time.Second
	// lineEvery is the time between two lines where there is no screen.
	lineEvery = 2 * time.Second
	// workersEvery is how often the workers are asked for while they are looked at.
	workersEvery = 2 * time.Second
)

// Run shows the board until somebody quits, ctx ends, or idds will not have us.
func Run(ctx context.Context, idds Source, cfg Config) error {
	if !cfg.Screen {
		return lines(ctx, idds, cfg)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(cfg.In), tea.WithOutput(cfg.Out), tea.WithoutSignalHandler()}
	if cfg.Width > 0 {
		options = append(options, tea.WithWindowSize(cfg.Width, cfg.Height))
	}
	p := tea.NewProgram(newModel(ctx, idds, cfg), options...)
	followed := make(chan error, 1)
	go func() {
		err := follow(ctx, idds, func(n news) { p.Send(n) })
		if err != nil {
			p.Quit() // we are not let in: said when the terminal is as it was
		}
		followed <- err
	}()
	var clock sync.WaitGroup
	clock.Go(func() { // how long idds has been away changes by itself
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case t := <-tick.C:
				p.Send(second(t))
			case <-ctx.Done():
				return
			}
		}
	})
	_, err := p.Run()
	stopped := ctx.Err() != nil
	cancel()
	clock.Wait()
	refused := <-followed
	switch {
	case stopped:
		return exitcode.Wrap(exitcode.Interrupted, context.Cause(ctx))
	case refused != nil:
		return refused
	case err != nil && !errors.Is(err, tea.ErrProgramKilled):
		return exitcode.New(exitcode.Internal, "drawing on the terminal: %w", err)
	}
	return nil
}

// news is a board, or why there is none.
type news struct {
	board *document.Board
	why   error
}

// follow follows idds until ctx ends, which is no error, or it refuses us. It tells what comes, and when idds is away.
func follow(ctx context.Context, idds Source, tell func(news)) error {
	seen, wait := "", firstWait
	for {
		err := idds.Follow(ctx, seen, func(e document.Event) error {
			wait = firstWait
			switch e.Name {
			case document.EventBoard:
				b := &document.Board{}
				if err := json.Unmarshal(e.Data, b); err != nil {
					return fmt.Errorf("reading a board: %w", err)
				}
				seen = e.ID
				tell(news{board: b})
			case document.EventBye:
				var bye document.ByeEvent
				if err := json.Unmarshal(e.Data, &bye); err == nil && !bye.Back {
					return exitcode.New(exitcode.NoCredential, "idds has ended it: %s", bye.Reason)
				}
			}
			return nil
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it is the end that was asked for
		}
		if f := exitcode.From(err); f == exitcode.NoCredential || f == exitcode.Usage || f == exitcode.BadConfig {
			return err
		}
		tell(news{why: err})
		if pause.For(ctx, wait) != nil {
			return nil //nolint:nilerr // the same
		}
		wait = min(2*wait, mostWait)
	}
}

// lines writes a line whenever something has changed, and not too often.
func lines(ctx context.Context, idds Source, cfg Config) error {
	var last time.Time
	said, away := "", false
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := follow(ctx, idds, func(n news) {
		var werr error
		switch {
		case n.board == nil && !away && !cfg.JSON:
			away = true
			_, werr = fmt.Fprintf(cfg.Out, "idds does not answer, and is tried again: %s\n", clean(n.why.Error()))
		case n.board == nil || time.Since(last) < lineEvery && !away:
			return
		case cfg.JSON:
			werr = program.JSON(cfg.Out).Encode(n.board)
		default:
			text := Line(n.board)
			if cfg.ASCII {
				text = plain(text)
			}
			if _, says, _ := strings.Cut(text, "  "); says != said || away {
				said = says
				_, werr = fmt.Fprintln(cfg.Out, text)
			}
		}
		if n.board != nil {
			last, away = time.Now(), false
		}
		if werr != nil { // whoever read has gone
			cancel(werr)
		}
	})
	if err == nil {
		err = exitcode.Wrap(exitcode.Interrupted, context.Cause(ctx))
	}
	return err
}
