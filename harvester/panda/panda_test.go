package panda_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/panda"
	"tfpilot/internal/exitcode"
)

const file = "testdata/panda_queues.json"

func TestAQueueSaysWhatAPilotNeedsAndTheRestIsTold(t *testing.T) {
	t.Parallel()
	q, err := panda.Read(file, "BNL_OSG_PanDA_1")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, k := range q.Left {
		left[k.Name] = true
	}
	for _, name := range []string{"container_type", "catchall", "copytools", "astorages", "queues", "params", "brand_new_key"} {
		if !left[name] {
			t.Errorf("nothing is said of %s", name)
		}
	}
	for _, name := range []string{"status", "uconfig", "envsetup", "maxrss"} {
		if left[name] {
			t.Errorf("%s is told", name)
		}
	}
	q.Left = nil
	want := panda.Queue{
		Name: "BNL_OSG_PanDA_1", Status: "online", System: "htcondor", CE: "ce1.example.org:9619", Partition: "default",
		Resources: harvester.Resources{Cores: 1, MemoryMB: 4000, DiskMB: 14336, WallTime: 72 * time.Hour},
		Env:       []string{"APPTAINER_BINDPATH=/cvmfs", "A=1", "TFPILOT_CONTAINER_OPTIONS=-B /cvmfs"}, Unknown: []string{"brand_new_key"},
	}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

func TestAQueueThatIsNotOpenSaysSo(t *testing.T) {
	t.Parallel()
	q, err := panda.Read(file, "NERSC_Perlmutter_epic")
	if err != nil || q.Resources.Cores != 16 || q.System != "" {
		t.Errorf("%+v, %v", q, err)
	}
	if !slices.ContainsFunc(q.Left, func(k panda.Key) bool { return k.Name == "status" && k.Why != "" }) {
		t.Errorf("%+v", q.Left)
	}
}

func TestWhatIsNoFileOfQueuesIsSaidWithItsPlace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ file, queue, want, next string }{
		{file, "nix", `has no queue "nix"`, "it has: BNL_OSG_PanDA_1, NERSC_Perlmutter_epic"},
		{write("broken.json", "{\n\"a\": {\n"), "a", "line 3: unexpected end of JSON input", ""},
		{write("list.json", "[]"), "a", "an object with a queue under each name", ""},
		{write("types.json", `{"a": {"maxrss": "lots"}}`), "a", "queue a", ""},
		{filepath.Join(dir, "absent"), "a", "no such file", ""},
	} {
		_, err := panda.Read(c.file, c.queue)
		if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), c.want) || !strings.Contains(exitcode.Next(err), c.next) {
			t.Errorf("%s: %v (%s)", c.file, err, exitcode.Next(err))
		}
	}
}
