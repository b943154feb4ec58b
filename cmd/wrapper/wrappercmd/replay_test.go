package wrappercmd_test

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/proc"
	"tfpilot/internal/rest"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var (
	must       = testkit.Must
	eventually = testkit.Await
)

// service is a process of idds on the embedded broker, which knows one slice that has failed.
type service struct{ url, token string }

// background runs something until the test ends.
func background(t *testing.T, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- fn(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for something to be so.
// startIDDS builds and starts the program.
func startIDDS(t *testing.T, slice message.Slice, failure message.Failure) service {
	t.Helper()
	dir := t.TempDir()
	run := func(path string, args ...string) string {
		t.Helper()
		out, errs := proc.NewCapture(4096, 4096), proc.NewCapture(4096, 4096)
		res, err := proc.Run(t.Context(), proc.Command{Path: path, Args: args, Env: os.Environ(), Stdout: out, Stderr: errs})
		if err != nil || res.ExitCode != 0 {
			t.Fatalf("%s %v: %v, %d: %s", path, args, err, res.ExitCode, errs)
		}
		return out.String()
	}
	run("go", "build", "-o", filepath.Join(dir, "idds"), "tfpilot/cmd/idds")

	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	background(t, func(ctx context.Context) error { return b.Serve(ctx, ln) })
	address := filepath.Join(dir, "address")
	background(t, func(ctx context.Context) error {
		_, err := proc.Run(ctx, proc.Command{
			Path: filepath.Join(dir, "idds"), Env: os.Environ(), Grace: time.Minute, DiesWithParent: true,
			Args: []string{
				"serve", "--state", filepath.Join(dir, "state"), "--listen", "127.0.0.1:0", "--address-file", address,
				"--broker-addr", ln.Addr().String(), "--namespace", "test", "--tick", "10ms",
			},
		})
		return err
	})
	var s service
	eventually(t, "idds", func() bool {
		text, err := os.ReadFile(address)
		s.url = "http://" + strings.TrimSpace(string(text))
		return err == nil
	})
	s.token = filepath.Join(dir, "viewer.token")
	must(t, os.WriteFile(s.token, []byte(run(filepath.Join(dir, "idds"), "token", "--state", filepath.Join(dir, "state"), "viewer")), 0o600))

	link, err := broker.New(broker.Config{Addrs: []string{ln.Addr().String()}})
	must(t, err)
	background(t, link.Run)
	publish := func(to string, document any) {
		t.Helper()
		body, err := json.Marshal(document)
		must(t, err)
		must(t, link.Publish(t.Context(), broker.Out{Destination: to, Body: body, Headers: []string{"namespace", "test"}}))
	}
	publish(message.TopicSlices, slice)
	publish(message.TopicResults, message.SliceResult{
		MsgType: message.TypeSliceResult, RunID: slice.RunID, CreatedAt: message.At(time.Now()), Namespace: "test",
		Content: message.ResultContent{State: message.StateFailed, ReqID: slice.Content.ReqID, PilotID: "pilot-7", Failure: &failure},
	})
	secret, err := os.ReadFile(s.token)
	must(t, err)
	client := rest.New(rest.Config{Base: s.url, Token: strings.TrimSpace(string(secret)), Retries: 5})
	eventually(t, "the failure", func() bool {
		doc, err := client.FindSlice(t.Context(), "", "", slice.Content.Identity())
		return err == nil && doc.Failure != nil && len(doc.Message) > 0
	})
	return s
}

func TestReplayRunsASliceThatHasFailed(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	data, work := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(data, "f.stf"), []byte("hits"), 0o600))
	slice := message.Slice{
		MsgType: message.TypeSlice, RunID: message.Run("100001"), CreatedAt: message.At(time.Now()), Namespace: "test",
		Content: message.SliceContent{ReqID: "a/b #1", Filename: "f.stf", Start: message.NewInt(0), End: message.NewInt(65)},
	}
	idds := startIDDS(t, slice, message.Failure{Code: 11, Name: "payload_permanent", Class: "payload", Message: "no hits\x1b[2J at all"})

	mine := payloadFile(t, `echo log of an attempt >&2; [ $TFPILOT_FIRST$TFPILOT_LAST = 065 ] && [ "$(cat "$TFPILOT_INPUT")" = hits ] || exit 20; exit 11`)
	at := []string{"replay", "--idds", idds.url, "--token-file", idds.token, "--work-dir", work, "--data-dir", data, "--payload", mine}
	o := command(t.Context(), t, append(at, "a/b #1")...)
	o.mustSay(t, exitcode.PayloadPermanent.Code, "slice a/b #1 of run 100001 is failed", "pilot-7", "payload_permanent: no hits·[2J at all",
		"no logs of it in "+filepath.Join(work, "tfpilot-logs-"), "run here:", "verdict  failed", "mine ended with status 11: log of an attempt")

	// The logs of that run are on this machine.
	command(t.Context(), t, append(at, "a/b #1")...).mustSay(t, exitcode.PayloadPermanent.Code, ".err.zst:\n  log of an attempt\n\nrun here:")

	saved := filepath.Join(t.TempDir(), "slice.json")
	command(t.Context(), t, append(at, "a/b #1", "--save", saved)...).mustSay(t, 0, "saved, for `wrapper run`:\n"+saved)
	command(t.Context(), t, append(at, "a/b #1", "--save", saved, "--output", "quiet")...).mustSay(t, 0, saved)
	command(t.Context(), t, "run", "--work-dir", work, "--data-dir", data, "--payload", mine, saved).mustSay(t, exitcode.PayloadPermanent.Code, "slice    a/b #1, run 100001")

	command(t.Context(), t, append(at, "other")...).mustSay(t, exitcode.Usage.Code, `idds knows no slice "other"`, "`idds slices` lists those that there are")
	must(t, os.WriteFile(idds.token, []byte("wrong"), 0o600))
	command(t.Context(), t, append(at, "a/b #1")...).mustSay(t, exitcode.NoCredential.Code, "idds does not take the token")
}

func TestReplaySaysWhatItNeeds(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	command(t.Context(), t, "replay").mustSay(t, exitcode.Usage.Code, "takes the identity of one slice")
	command(t.Context(), t, "replay", "--idds", "nowhere", "x").mustSay(t, exitcode.Usage.Code, `--idds "nowhere" is no address of idds`)
	command(t.Context(), t, "replay", "--token-file", "/none", "x").mustSay(t, exitcode.NoCredential.Code, "--token-file")
	command(t.Context(), t, "replay", "--idds", "http://"+testkit.Nobody(t), "x").mustSay(t, exitcode.NoService.Code, "asking idds")
}
