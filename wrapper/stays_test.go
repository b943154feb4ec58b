package wrapper_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/payloadfile"
	"tfpilot/internal/payloadlog"
	"tfpilot/payload/resident"
	"tfpilot/wrapper"
)

// staying is a payload of kind resident that is a script. Its variables are those of the slot.
func staying(t *testing.T, script string, cfg wrapper.Config) *wrapper.Wrapper {
	t.Helper()
	spec := payloadfile.Spec{
		Name: "stays", Version: "1", Kind: payloadfile.KindResident, Command: []string{"/bin/sh", "-c", script}, Timeout: time.Minute, Grace: time.Second,
		Resident: payloadfile.Resident{StartupTimeout: time.Minute},
	}
	p, err := resident.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	w, err := wrapper.New(spec, p, p, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// answers reads requests for ever; each answer comes with a line on stderr.
const answers = `echo "slot $TFPILOT_SLOT in $PWD" >&2
echo '{"ready": true}'
while read -r request; do
	id=${request#*\"req_id\":\"}; id=${id%%\"*}
	echo "$id" >&2
	case $id in bad) status=10 ;; *) status=0 ;; esac
	echo "{\"req_id\": \"$id\", \"status\": $status, \"result\": {}}"
done`

func TestWhatAPayloadThatStaysPrintsGoesToTheLogOfItsSlice(t *testing.T) {
	t.Parallel()
	cfg := wrapper.Config{WorkDir: t.TempDir(), LogDir: t.TempDir(), KeepLogs: true}
	w := staying(t, answers, cfg)
	if started, err := w.Prepare(t.Context(), 0); err != nil || started.Took == 0 {
		t.Fatalf("%+v, %v", started, err)
	}
	for _, id := range []string{"one", "bad", "two"} {
		o := w.Run(t.Context(), slice(t, `{"req_id":"`+id+`"}`))
		if (o.Err == nil) == (id == "bad") || o.Result.Usage.Stderr != id+"\n" || len(o.Logs) != 1 || !strings.Contains(o.Logs[0], "."+id+".a1.slot00.err") {
			t.Errorf("%s: %v, %q, %v", id, o.Err, o.Result.Usage.Stderr, o.Logs)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
	logs, err := payloadlog.List(cfg.LogDir)
	if err != nil || len(logs) != 4 {
		t.Fatalf("%+v, %v", logs, err)
	}
	for _, l := range logs {
		var text strings.Builder
		if err := l.CopyTo(&text); err != nil {
			t.Error(err)
		}
		if l.Slice == "between-slices" && (!strings.HasPrefix(text.String(), "slot 0 in "+cfg.WorkDir) || strings.Count(text.String(), "\n") != 1 || l.Slot != 0) {
			t.Errorf("%+v: %q", l, text.String())
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cfg.WorkDir, "*")); len(left) > 0 {
		t.Errorf("left in the work directory: %v", left)
	}
}
