//go:build integration

package iddscmd_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/message"
)

// database starts a PostgreSQL of the test's own, to be killed, and writes its address into a file.
func database(t *testing.T) (services func(what string), storeFile string) {
	t.Helper()
	if os.Getenv("TFPILOT_TEST_POSTGRES") == "" && os.Getenv("REQUIRE_SERVICES") != "1" {
		t.Skip("no PostgreSQL is wanted: TFPILOT_TEST_POSTGRES and REQUIRE_SERVICES are not set; `make test/integration` sets them")
	}
	state, err := os.MkdirTemp("", "tfpilot-postgres-") //nolint:usetesting // the server's user cannot reach that of a test
	must(t, err)
	storeFile = filepath.Join(t.TempDir(), "store")
	port := "TFPILOT_POSTGRES_PORT=0"
	services = func(what string) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "../../../scripts/services.sh", what, "postgres")
		cmd.Env, cmd.Stderr = append(os.Environ(), "TFPILOT_SERVICES="+state, port), t.Output()
		out, err := cmd.Output()
		must(t, err)
		if _, address, up := strings.Cut(strings.TrimSpace(string(out)), "="); up {
			must(t, os.WriteFile(storeFile, []byte(address), 0o600))
		}
		port = "TFPILOT_POSTGRES_PORT=" // the one that it has
	}
	services("up")
	t.Cleanup(func() { services("down") })
	return services, storeFile
}

func TestIntegrationAServiceOutlastsItsDatabase(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	services, storeFile := database(t)
	in := serve(t, t.TempDir(), "--store-file", storeFile)
	const n = 60
	send := func(from int) {
		for i := from; i < from+n; i++ {
			in.publish(t, message.TopicSlices, slice(fmt.Sprintf("slice-%03d", i)))
			in.publish(t, message.TopicResults, result(fmt.Sprintf("slice-%03d", i), nil))
		}
	}
	send(0)
	services("kill")
	send(n)
	until(t, "word of the outage", func() bool {
		return strings.Contains(in.log.String(), "the store is not available; nothing is acknowledged until it is")
	})
	if o := in.ask(t, "runs"); o.status == 0 || !strings.Contains(o.stderr, "Service Unavailable: the store is not available") {
		t.Errorf("%d: %s", o.status, o.stderr)
	}
	services("up")
	in.publish(t, message.TopicWorkers, endRun(2*n))
	until(t, "word of its end", func() bool { return strings.Contains(in.log.String(), "the store is back") })
	in.ask(t, "run", "check", "--wait", "1m", "100001").mustSay(t, 0, fmt.Sprintf("is closed: published %d = done %d + failed 0 + outstanding 0", 2*n, 2*n))
	if o := in.ask(t, "run", "check", "--output", "json", "100001"); !strings.Contains(o.stdout, `"absorbed": 0`) {
		t.Errorf("%s", o.stdout)
	}
	second := command(t, "serve", "--store-file", storeFile, "--state", t.TempDir(), "--listen", "127.0.0.1:0", "--broker-addr", in.broker)
	second.mustSay(t, 45, "another program works on this store", `"idds `, "a database, or a schema")
	command(t, "doctor", "--store-file", storeFile, "--state", in.state, "--broker-addr", in.broker).mustSay(t, 0, fmt.Sprintf("1 run, %d slices", 2*n))
	if strings.Contains(in.log.String(), "panda:panda") {
		t.Error("the password is in the log")
	}
}

func TestIntegrationALedgerMovesToPostgreSQLAndBack(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	_, storeFile := database(t)
	dir := t.TempDir()
	in := serve(t, filepath.Join(dir, "state"))
	in.publish(t, message.TopicSlices, slice("slice-a"), slice("slice-b"))
	in.publish(t, message.TopicResults, result("slice-a", nil))
	until(t, "the result", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "done") })
	in.stop()

	there := command(t, "migrate", "--from", in.state, "--to-file", storeFile, "--output", "json")
	there.mustSay(t, 0, `"table": "slice"`)
	command(t, "migrate", "--from", in.state, "--to-file", storeFile).mustSay(t, 43, "it is not empty")
	moved := serve(t, filepath.Join(dir, "state2"), "--store-file", storeFile)
	moved.publish(t, message.TopicSlices, slice("slice-c")) // behind what was copied
	until(t, "the third slice", func() bool { return strings.Contains(moved.ask(t, "slices").stdout, "slice-c") })
	back := filepath.Join(dir, "back")
	command(t, "migrate", "--from-file", storeFile, "--to", back).mustSay(t, 45, "another program works on this store")
	command(t, "backup", "--store-file", storeFile, filepath.Join(dir, "backup.db")).mustSay(t, 0, "rows copied")
	moved.stop()
	command(t, "migrate", "--from-file", storeFile, "--to", back).mustSay(t, 0, "rows copied")
	home := serve(t, back)
	if got := columns(home.ask(t, "slices").stdout); !strings.Contains(got, "slice-a") || !strings.Contains(got, "slice-c") {
		t.Errorf("%s", got)
	}
}
