package synthetic

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/payload"
)

// Script is what the process does: the flags of `tfpilot-payload synthetic`.
type Script struct {
	Mode      string
	Duration  time.Duration
	SizeMB    int
	Permanent bool
}

// Do misbehaves as told, in a process of its own.
func Do(s Script, stdout io.Writer) error {
	if err := s.act(stdout); err != nil {
		return err
	}
	b, err := json.Marshal(done)
	if err != nil {
		return err
	}
	return os.WriteFile(os.Getenv("TFPILOT_RESULT"), b, 0o644)
}

var done = payload.Result{Counts: map[string]int64{"synthetic": 1}}

// Serve does the same for one request after another, as a payload that stays; what it prints for people goes to stderr.
func Serve(s Script, requests io.Reader, replies, stderr io.Writer) error {
	type reply struct {
		ReqID   string          `json:"req_id"`
		Status  int             `json:"status"`
		Message string          `json:"message"`
		Result  *payload.Result `json:"result,omitempty"`
		Seconds float64         `json:"seconds"`
	}
	say := json.NewEncoder(replies)
	if err := say.Encode(map[string]bool{"ready": true}); err != nil {
		return err
	}
	for lines := bufio.NewReaderSize(requests, 64<<10); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var r struct {
			ReqID string `json:"req_id"`
		}
		if err == nil {
			err = json.Unmarshal(line, &r)
		}
		if err != nil {
			return exitcode.New(exitcode.DataInvalid, "reading a request: %w", err)
		}
		began, answer := time.Now(), reply{ReqID: r.ReqID, Result: &done}
		if err := s.act(stderr); err != nil {
			answer.Status, answer.Message, answer.Result = exitcode.From(err).Code, err.Error(), nil
		}
		answer.Seconds = time.Since(began).Seconds()
		if err := say.Encode(answer); err != nil {
			return err
		}
	}
}

// act does as told. hang ignores SIGTERM.
func (s Script) act(stdout io.Writer) error {
	switch s.Mode {
	case "noop":
	case "sleep":
		<-time.After(s.Duration)
	case "burn":
		x := uint64(1)
		for end := time.Now().Add(s.Duration); time.Now().Before(end); {
			for range 100_000 {
				x = x*6364136223846793005 + 1442695040888963407
			}
		}
		if x == 0 {
			fmt.Fprintln(stdout, x) // keeps the loop
		}
	case "grow":
		held := make([][]byte, 0, s.SizeMB)
		for range s.SizeMB {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			held = append(held, b)
		}
		fmt.Fprintf(stdout, "holding %d MB\n", len(held))
	case "print":
		line := make([]byte, 1<<10)
		for i := range line {
			line[i] = 'x'
		}
		line[len(line)-1] = '\n'
		for range s.SizeMB << 10 {
			if _, err := stdout.Write(line); err != nil {
				return err
			}
		}
	case "crash":
		// SIGKILL, as from a kernel out of memory: the runtime makes an exit status of the signals that it can catch.
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {}
	case "hang":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		select {}
	case "fail":
		f := exitcode.PayloadFailed
		if s.Permanent {
			f = exitcode.PayloadPermanent
		}
		return exitcode.New(f, "failed as told")
	default:
		return exitcode.New(exitcode.Usage, "mode %q is unknown", s.Mode)
	}
	return nil
}
