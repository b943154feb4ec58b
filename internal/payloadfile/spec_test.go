package payloadfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
)

// load reads a payload file of the given text.
func load(t *testing.T, text string) (payloadfile.Spec, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := payloadfile.Load(file)
	return s, file, err
}

func TestAPayloadFileIsReadWithItsDefaults(t *testing.T) {
	t.Parallel()
	s, file, err := load(t, "name = \"x\"\nversion = \"2\"\nkind = \"command\"\ncommand = [\"./x\", \"-a\"]\ntimeout = \"90s\"\n[env]\nA = \"1\"\n"+
		"[limits]\ncpu = \"5m\"\nlooping = \"80s\"\nopen_files = 100\noutput_mb = 50\n")
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "x" || s.Version != "2" || s.Timeout != 90*time.Second || s.Grace != 5*time.Second ||
		s.Env["A"] != "1" || s.Dir != filepath.Dir(file) {
		t.Errorf("%+v", s)
	}
	if want := (payloadfile.Limits{CPU: 5 * time.Minute, Looping: 80 * time.Second, OpenFiles: 100, OutputMB: 50}); s.Limits != want {
		t.Errorf("%+v", s.Limits)
	}
	for name, kind := range map[string]payloadfile.Kind{"": payloadfile.KindTFReco, "tfreco": payloadfile.KindTFReco, "synthetic": payloadfile.KindSynthetic} {
		if s, err := payloadfile.Load(name); err != nil || s.Kind != kind || s.Timeout != 10*time.Minute {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestAWrongPayloadFileNamesLineAndKey(t *testing.T) {
	t.Parallel()
	const good = "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n"
	for want, text := range map[string]string{
		`:4: unknown key "timout"`:        good + "timout = \"1s\"\n",
		`:5: unknown key "synthetic.mod"`: good + "[synthetic]\nmod = \"noop\"\n",
		`:4:11: "soon" is no duration`:    good + "timeout = \"soon\"\n",
		`:4:`:                             good + "grace = = 1\n",
		`:1:`:                             "name = 7\n",
		`name missing`:                    "kind = \"command\"\ncommand = [\"x\"]\n",
		`kind "docker" is none of command, resident, tfreco`: "name = \"x\"\nkind = \"docker\"\n",
		`kind command needs command`:                         "name = \"x\"\nkind = \"command\"\n",
		`kind command needs command = `:                      "name = \"x\"\nkind = \"command\"\ncommand = [\"\"]\n",
		`:3: command: kind synthetic has its own`:            "name = \"x\"\nkind = \"synthetic\"\ncommand = [\"x\"]\n[synthetic]\nmode = \"noop\"\n",
		`:4: [synthetic] is for kind synthetic, not`:         "name = \"x\"\nkind = \"command\"\ncommand = [\"x\"]\n[synthetic]\nmode = \"crash\"\n",
		`:3: command: kind tfreco has its own`:               "name = \"x\"\nkind = \"tfreco\"\ncommand = [\"x\"]\n",
		`synthetic.mode "explode" is none of noop`:           "name = \"x\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"explode\"\n",
		`size_mb = -1: must be 0 to`:                         "name = \"x\"\nkind = \"synthetic\"\n[synthetic]\nmode = \"grow\"\nsize_mb = -1\n",
		`timeout = -1s: must be at least 1ms`:                good + "timeout = \"-1s\"\n",
		`:4: timeout = 5 has no unit: write "5s"`:            good + "timeout = 5\n",
		`:5: grace = 0.5 has no unit: write "0.5s"`:          good + "\ngrace = 0.5\n",
		`:4: grace = 5 has no unit: write "5s"`:              good + "grace = \"5\"\n",
		`synthetic.duration = 5ns: must be at`:               good + "[synthetic]\nduration = \"5ns\"\n",
		`:5: synthetic.duration = 2 has no unit`:             good + "[synthetic]\nduration = 2\n",
		`"0s" is no time: leave the key out`:                 good + "timeout = \"0s\"\n",
		`timeout = 1µs: must be at least 1ms`:                good + "timeout = \"1us\"\n",
		`env.TFPILOT_X: not a name that can be set`:          good + "[env]\nTFPILOT_X = \"1\"\n",
		`env.A=B: not a name`:                                good + "[env]\n\"A=B\" = \"1\"\n",
		`${TFPILOT_OUTPUT} is no variable of a slice`:        "name = \"x\"\nkind = \"command\"\ncommand = [\"x\", \"${TFPILOT_OUTPUT}\"]\n",
		`env.A: ${TFPILOT_} is no variable of a slice`:       good + "[env]\nA = \"${TFPILOT_}\"\n",
		`:3: command: ${TFPILOT_INPUT is never closed`:       "name = \"x\"\nkind = \"command\"\ncommand = [\"x\", \"${TFPILOT_INPUT\"]\n",
		`:5: limits.cpu = 30 has no unit: write "30s"`:       good + "[limits]\ncpu = 30\n",
		`:5: limits.looping: 1s: must be at least 2s`:        good + "[limits]\nlooping = \"1s\"\n",
		`:5: limits.looping: 10m0s: timeout = 10m0s ends`:    good + "[limits]\nlooping = \"10m\"\n",
		`:5: limits.open_files: -1: must be 1 to`:            good + "[limits]\nopen_files = -1\n",
		`:5: unknown key "limits.output"`:                    good + "[limits]\noutput = 5\n",
		`cannot depend on the slice`:                         "name = \"x\"\nkind = \"command\"\ncommand = [\"${TFPILOT_INPUT}\"]\n",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			_, file, err := load(t, text)
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
			if f := exitcode.From(err); f != exitcode.Usage {
				t.Errorf("class %s", f.Name)
			}
		})
	}
}

func TestEveryMistakeIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := load(t, "kind = \"synthetic\"\ngrace = \"-1s\"\n[env]\nTFPILOT_X = \"\"\n")
	for _, want := range []string{"name missing", "synthetic.mode", "grace = -1s", "env.TFPILOT_X"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

func TestMistakesAreNamedInTheSameOrderEveryTime(t *testing.T) {
	t.Parallel()
	const text = "name = \"x\"\nkind = \"resident\"\ncommand = [\"x\"]\ncores = -1\nmemory_mb = -1\ndisk_mb = -1\ntimeout = \"-1s\"\ngrace = \"-1s\"\n" +
		"[resident]\nkeepalive = \"-1s\"\nrecycle_slices = -1\nrecycle_mb = -1\n[output]\nfiles = [\"/\"]\nrequired = [\"/\"]\n" +
		"[env]\nTFPILOT_A = \"\"\nTFPILOT_B = \"${TFPILOT_INPUT}\"\nTFPILOT_C = \"${TFPILOT_INPUT}\"\n"
	_, file, first := load(t, text)
	if first == nil || strings.Count(first.Error(), "\n") != 14 {
		t.Fatal(first)
	}
	for range 20 {
		if _, err := payloadfile.Load(file); err == nil || err.Error() != first.Error() {
			t.Fatalf("%v\nand before\n%v", err, first)
		}
	}
}

func TestAMissingPayloadFileSaysWhatElseThereIs(t *testing.T) {
	t.Parallel()
	_, err := payloadfile.Load("tfrecon")
	if err == nil || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), "tfreco, synthetic") {
		t.Error(err)
	}
}
