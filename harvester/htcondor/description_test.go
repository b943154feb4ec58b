package htcondor_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tfpilot/harvester"
	"tfpilot/harvester/htcondor"
	"tfpilot/internal/exitcode"
)

var update = flag.Bool("update", false, "rewrite testdata/*.golden")

// keeping is a condor_submit that keeps its description and takes two pilots.
const keeping = `cat >"$(dirname "$0")/description"; echo '12.0 - 12.1'`

func TestTheDescriptionOfASubmission(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "ce.token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*htcondor.Config)
		ship   bool
	}{
		"shared": {func(c *htcondor.Config) {
			c.Requirements, c.AccountingGroup, c.AccountingUser = `TARGET.HasCVMFS =?= true || TARGET.Arch == "X86_64"`, "group_epic", "alice"
			c.Submit = []string{"+WantEpic = true"}
		}, false},
		"shipped": {func(*htcondor.Config) {}, true},
		"requeue": {func(c *htcondor.Config) { c.Requeue, c.Transfer = true, true }, false},
		"ce": {func(c *htcondor.Config) {
			c.GridResource, c.TokenFile = "condor ce.example.org ce.example.org:9619", token
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bin string
			s := fake(t, map[string]string{"condor_submit": keeping}, c.change, func(c *htcondor.Config) { bin = c.Bin })
			sub := submission(t)
			if sub.Ship = c.ship; sub.Ship {
				sub.Args[2] = "pilot.token"
			}
			ids, err := s.Submit(t.Context(), sub)
			if err != nil || !cmp.Equal(ids, []string{"12.0", "12.1"}) {
				t.Fatalf("%v, %v", ids, err)
			}
			got, err := os.ReadFile(filepath.Join(bin, "description"))
			if err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer(sub.Dir, "/state/jobs", token, "/etc/tfpilot/ce.token").Replace(string(got))
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Error(diff)
			}
			for _, worker := range []string{"tfpilot-abc.0", "tfpilot-abc.1"} {
				if info, err := os.Stat(filepath.Join(sub.Dir, worker)); err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("%v, %v", info, err)
				}
			}
		})
	}
}

func TestWhatADescriptionCannotSayIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*harvester.Submission){
		"a line break in an argument":    func(s *harvester.Submission) { s.Args = []string{"a\nqueue 1000"} },
		"a line break in a variable":     func(s *harvester.Submission) { s.Env = []string{"A=b\nc"} },
		"a reference to a machine":       func(s *harvester.Submission) { s.Args = []string{"$$(Memory)"} },
		"an expression on a machine":     func(s *harvester.Submission) { s.Args = []string{"$$[1 + 1]"} },
		"a comma in a file's name":       func(s *harvester.Submission) { s.Ship, s.Files = true, []string{"/a,b"} },
		"a node whose name is an attack": func(s *harvester.Submission) { s.Exclude = []string{`x" || true || "`} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := submission(t)
			change(&sub)
			ids, err := fake(t, map[string]string{"condor_submit": keeping}).Submit(t.Context(), sub)
			if exitcode.From(err) != exitcode.BadConfig || len(ids) != 0 {
				t.Errorf("%v, %v", ids, err)
			}
			if made, _ := os.ReadDir(sub.Dir); len(made) != 0 {
				t.Errorf("%v", made)
			}
		})
	}
}

func TestEverythingThatIsWrongWithAConfigurationIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, err := htcondor.New(htcondor.Config{
		Requirements: "a\nb", Submit: []string{" Queue 1000", "+A = 1\nqueue 5"}, TokenFile: "token",
	})
	for _, want := range []string{`"a\nb"`, "Queue 1000", `queue 5`, "grid_resource"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if exitcode.From(err) != exitcode.BadConfig {
		t.Error(exitcode.From(err).Name)
	}
}
