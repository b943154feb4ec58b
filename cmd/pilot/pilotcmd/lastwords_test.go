package pilotcmd_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
)

// embedded is a broker, and a configuration that names it. Its consumers tell when a pilot is there.
func embedded(t *testing.T) (config string, consumers func() int) {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	text := "[transformer_broker]\ndestination = \"" + message.QueueSlicesWorkers + "\"\nbrokers = [\"" + ln.Addr().String() + "\"]\n" +
		"[transformer_broadcast_broker]\ndestination = \"" + message.TopicTransformer + "\"\n[result_broker]\ndestination = \"" + message.TopicResults + "\"\n"
	return file(t, text, 0o600), func() int {
		for _, q := range b.Stats() {
			if q.Name == message.QueueSlicesWorkers {
				return q.Consumers
			}
		}
		return 0
	}
}

// atWork runs a pilot on an embedded broker, and does something once it is subscribed.
func atWork(t *testing.T, then func(), args ...string) (status int, w document.WorkerReport) {
	t.Helper()
	config, consumers := embedded(t)
	over := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for consumers() == 0 {
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
		then()
	})
	status, stdout, stderr := command(t, append([]string{
		"run", "--broker-config", config, "--payload", "noop", "--work-dir", t.TempDir(), "--journal-dir", t.TempDir(),
	}, args...)...)
	close(over)
	watch.Wait()
	t.Log(stderr)
	return status, lastWords(t, stdout)
}

func TestAPilotThatDoesNotBeginSaysWhyInItsLastWords(t *testing.T) {
	t.Setenv("TFPILOT_WORKER_ID", "tfpilot-x.3")
	t.Setenv("TFPILOT_BATCH_ID", "12")
	t.Setenv("TFPILOT_SITE", "farm")
	for want, args := range map[string][]string{
		"flag provided but not defined": {"--no-such-flag"},
		"takes no argument":             {"extra"},
		"--slots":                       {"--slots", "many"},
		"--deadline":                    {"--deadline", "tomorrow"},
		"--warning-signals":             {"--warning-signals", "USR9"},
		"it ends the pilot":             {"--warning-signals", "SIGTERM"},
		"no broker configuration":       {"--payload", "noop"},
		"reading payload":               {"--payload", "no-such.toml"},
		"secret file cannot be used":    {"--idds", "http://127.0.0.1:1", "--token-file", "no-such-file"},
		"no broker for":                 {"--broker-config", file(t, example(t), 0o600), "--broker-timeout", "20ms", "--payload", "noop", "--journal-dir", t.TempDir()},
	} {
		status, stdout, stderr := command(t, append([]string{"run"}, args...)...)
		w := lastWords(t, stdout)
		if w.Exit.Code != status || status == 0 || !strings.Contains(w.Exit.Cause, want) || !strings.Contains(stderr, want) {
			t.Errorf("%v: %d, %+v: %s", args, status, w.Exit, stderr)
		}
		if w.WorkerID != "tfpilot-x.3" || w.BatchID != "12" || w.Site != "farm" || w.PilotID == "" {
			t.Errorf("%v: whose words are they: %+v", args, w)
		}
	}
}

func TestIddsHearsOfAPilotThatDoesNotBegin(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	reports := make(chan document.WorkerReport, 1)
	idds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var report document.WorkerReport
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil || r.URL.Path != "/v1/workers" {
			http.Error(w, "what?", http.StatusBadRequest)
			return
		}
		reports <- report
		_, _ = w.Write([]byte("{}"))
	}))
	defer idds.Close()
	status, _, _ := command(t, "run", "--idds", idds.URL, "--token-file", file(t, "x", 0o600), "--payload", "no-such.toml")
	if w := <-reports; w.Phase != document.WorkerEnded || w.Exit == nil || w.Exit.Code != status || w.Slot == nil {
		t.Errorf("%d: %+v", status, w)
	}
}

func TestAWarningSignalAndAFileDrain(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	none := func() {}
	drain := filepath.Join(t.TempDir(), "drain")
	for _, c := range []struct { //nolint:paralleltest // all apps share one help flag
		name   string
		then   func()
		args   []string
		status int
		want   string
	}{
		{"a signal", func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR2) }, nil, 61, "told to drain by SIGUSR2"},
		{"a signal near the end", func() { _ = syscall.Kill(os.Getpid(), syscall.SIGUSR1) }, []string{"--wall-time", "5m"}, 57, "warned by SIGUSR1: the slot ends in"},
		{"another signal", func() { _ = syscall.Kill(os.Getpid(), syscall.SIGHUP) }, []string{"--warning-signals", "hup"}, 61, "told to drain by SIGHUP"},
		{"a file", none, []string{"--drain-file", file(t, "new kernel\nat noon\n", 0o600)}, 61, `: "new kernel"`},
		{"an empty file that comes later", func() { _ = os.WriteFile(drain, nil, 0o600) }, []string{"--drain-file", drain}, 61, "told to drain by the file " + drain},
		{"the end of the slot", none, []string{"--wall-time", "20s"}, 57, "wall_time, configured"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, w := atWork(t, c.then, c.args...); status != c.status || w.Exit.Code != c.status || !strings.Contains(w.Exit.Cause, c.want) {
				t.Errorf("%d, %+v", status, w.Exit)
			}
		})
	}
}

// squeue makes the test a job of a Slurm of its own.
func squeue(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "squeue"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("SLURM_JOB_ID", "7")
}

func TestSlotsAutoAreAsManyAsFit(t *testing.T) {
	squeue(t, "echo '7 UNLIMITED UNLIMITED'")
	t.Setenv("SLURM_CPUS_ON_NODE", "1")
	status, w := atWork(t, func() {}, "--slots", "auto", "--wall-time", "1s")
	if status != 57 || w.Slots != 1 || w.Slot == nil || w.Slot.Cores != 1 || w.BatchSystem != "slurm" || w.BatchID != "7" {
		t.Errorf("%d: %+v", status, w)
	}
}

func TestSlotPrintsWhatIsKnownAndWhereFrom(t *testing.T) {
	t.Setenv("TFPILOT_WALL_TIME", "1h")
	t.Setenv("SLURM_CPUS_ON_NODE", "1")
	t.Setenv("SLURM_JOB_ID", "")
	for format, want := range map[string]string{"table": "wall_time, configured", "json": `"ends_by": "wall_time, configured`, "quiet": "cores\n"} {
		status, stdout, stderr := command(t, "slot", "--output", format)
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: %d: %s%s", format, status, stdout, stderr)
		}
	}
	squeue(t, "echo slurm_load_jobs error: Unable to contact slurm controller >&2; exit 1")
	status, stdout, stderr := command(t, "slot")
	if status != 47 || !strings.Contains(stdout, "SLURM_CPUS_ON_NODE") || !strings.Contains(stderr, "does not say when the slot ends") || !strings.Contains(stderr, "Unable to contact") {
		t.Errorf("%d: %s%s", status, stdout, stderr)
	}
}
