package iddscmd_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tfpilot/internal/message"
)

func TestABackupOfARunningServiceIsRestoredWhole(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	dir := t.TempDir()
	in := serve(t, filepath.Join(dir, "state"))
	in.publish(t, message.TopicSlices, slice("slice-a"), slice("slice-b"))
	in.publish(t, message.TopicResults, result("slice-a", nil))
	until(t, "the result", func() bool { return strings.Contains(in.ask(t, "slices").stdout, "done") })
	file := filepath.Join(dir, "backup.db")
	command(t, "backup", "--state", in.state, file).mustSay(t, 0, "SHA-256", "rows copied and read back")
	info, err := os.Stat(file)
	if must(t, err); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	again := filepath.Join(dir, "again")
	o := command(t, "restore", "--state", again, "--output", "quiet", file)
	o.mustSay(t, 0, "slice")

	config := filepath.Join(dir, "idds.toml") // that of the service
	must(t, os.WriteFile(config, []byte("state = "+strconv.Quote(in.state)+"\nnamespace = \"epic\"\n[broker]\naddr = [\"127.0.0.1:1\"]\n"), 0o600))
	command(t, "backup", "--config", config, filepath.Join(dir, "by-config.db")).mustSay(t, 0, "rows copied and read back")
	command(t, "token", "--config", config, "viewer").mustSay(t, 0)
	command(t, "backup", "--state", in.state, file).mustSay(t, 64, "is there already")
	command(t, "restore", "--state", in.state, file).mustSay(t, 45, "another process works on "+in.state)
	command(t, "migrate", "--from", in.state, "--to", filepath.Join(dir, "to")).mustSay(t, 45, "another process works on "+in.state, "end the service first")
	command(t, "restore", "--state", again, file).mustSay(t, 43, "it is not empty")
	in.stop()
	command(t, "migrate", "--from", in.state, "--to", filepath.Join(dir, "to")).mustSay(t, 0, "SHA-256")
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if must(t, err); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	second := serve(t, again)
	if got := columns(second.ask(t, "slices").stdout); !strings.Contains(got, "slice-a") || !strings.Contains(got, "slice-b") {
		t.Errorf("%s", got)
	}
}

func TestABadStoreIsOneLineWithItsOwnStatusAndWithoutItsPassword(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("this is no database, however long it is made to be by words"), 0o600))
	open := filepath.Join(dir, "open")
	must(t, os.WriteFile(open, []byte("postgres://idds:hush@127.0.0.1:1/idds"), 0o644))
	private := filepath.Join(dir, "private")
	must(t, os.WriteFile(private, []byte("postgres://idds:hush@127.0.0.1:1/idds"), 0o600))
	state := filepath.Join(dir, "state")
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{64, "--store-file, in TFPILOT_STORE or PGPASSWORD", []string{"serve", "--store", "postgres://idds:hush@db/idds", "--state", state}},
		{64, "--to-file, in TFPILOT_TO or PGPASSWORD", []string{"migrate", "--from", state, "--to", "postgres://db/idds?password=hush"}},
		{64, "--store is an address such as postgres://", []string{"backup", "--store", "mysql://db", file}},
		{50, "chmod 600", []string{"backup", "--store-file", open, file + "1"}},
		{43, "127.0.0.1:1", []string{"backup", "--store-file", private, file + "1"}},
		{43, "127.0.0.1:1", []string{"doctor", "--store-file", private, "--state", state, "--broker-addr", "127.0.0.1:1"}},
		{64, "does not verify who the server is", []string{"backup", "--store", "postgres://idds@db.example.org/idds?sslmode=require", file + "1"}},
		{64, "migrate needs --from", []string{"migrate"}},
		{64, "migrate needs --to", []string{"migrate", "--from", state}},
		{64, "backup needs one file", []string{"backup"}},
		{43, "in PostgreSQL is named by --store", []string{"backup", "--state", state, file + "1"}},
		{43, "not a database", []string{"restore", "--state", state, file}},
		{43, "no such file", []string{"restore", "--state", state, file + "1"}},
	} {
		o := command(t, c.args...)
		o.mustSay(t, c.status, c.want)
		if strings.Contains(o.stdout+o.stderr, "hush") {
			t.Errorf("%v: the password is shown: %s", c.args, o.stderr)
		}
	}
	t.Setenv("TFPILOT_STORE", "postgres://idds:hush@127.0.0.1:1/idds")
	o := command(t, "backup", file+"1")
	if o.mustSay(t, 43, "127.0.0.1:1", "connection refused"); strings.Contains(o.stderr, "hush") {
		t.Errorf("the password is shown: %s", o.stderr)
	}
}
