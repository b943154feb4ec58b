package lint_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload/kinds"
	"tfpilot/wrapper/lint"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func construct(s payloadfile.Spec) error {
	_, err := kinds.New(s, "")
	return err
}

// found are the problems of a TOML file in a folder, as they are printed, without the folder.
func found(t *testing.T, dir, text string) []string {
	t.Helper()
	_, problems := lint.Payload(write(t, dir, "mine.toml", text), construct)
	return printed(dir, problems)
}

func printed(dir string, problems []lint.Problem) (out []string) {
	for _, p := range problems {
		out = append(out, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	return out
}

// mustBe wants one problem for each beginning, in order.
func mustBe(t *testing.T, got []string, want ...string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(got[i], want[i])
	}
	if !ok {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const good = "name = \"mine\"\nversion = \"1\"\nkind = \"command\"\nmemory_mb = 100\n"

func TestAGoodPayloadHasNoProblem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "run.sh", "#!/usr/bin/env sh\n")
	mustBe(t, found(t, dir, good+`command = ["./run.sh", "${TFPILOT_PAYLOAD_DIR}/run.sh", "${TFPILOT_PAYLOAD_DIR}/${TFPILOT_REQ_ID}"]`))
	_, problems := lint.Payload("synthetic", construct)
	mustBe(t, printed(dir, problems))
}

func TestEveryMistakeHasItsLine(t *testing.T) {
	t.Parallel()
	mustBe(t, found(t, t.TempDir(), "name = \"a/b\"\nkind = \"command\"\ncommand = [\"sh\"]\ncores = -1\n\n[env]\nA = \"x\"\nTFPILOT_X = \"1\"\n"),
		"mine.toml:1: error: name missing, or with a slash", "mine.toml:4: error: cores = -1", "mine.toml:8: error: env.TFPILOT_X: not a name")
	mustBe(t, found(t, t.TempDir(), "nome = \"a\"\nkynd = 1\n"), `mine.toml:1: error: unknown key "nome"`, `mine.toml:2: error: unknown key "kynd"`)
	mustBe(t, found(t, t.TempDir(), "name = \"a\"\nkind = \"magic\"\n"), `mine.toml:2: error: kind "magic" is none of`)
	mustBe(t, found(t, t.TempDir(), "name = \"a\"\nkind = \"command\"\n"), `mine.toml:2: error: kind command needs command`)
	mustBe(t, found(t, t.TempDir(), "name = \n"), `mine.toml:1: error: `)
	_, problems := lint.Payload("none.toml", construct)
	mustBe(t, printed("", problems), "none.toml: error: reading payload: open none.toml: no such file")
}

func TestAProgramThatCannotStartIsFoundBeforeASlice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "dos.sh", "#!/bin/sh\r\nexit 0\r\n")
	write(t, dir, "gone.py", "#!/opt/none/python3 -u\n")
	write(t, dir, "env.py", "#!/usr/bin/env python-that-is-not-there\n")
	write(t, dir, "bare.sh", "echo hello\n")
	for command, want := range map[string]string{
		`["./bare.sh"]`:       "mine.toml:5: error: bare.sh: its first line names no interpreter",
		`["./none"]`:          "mine.toml:5: error: looking for the payload's program: ",
		`["no-such-program"]`: "mine.toml:5: error: looking for the payload's program: ",
		`["./dos.sh"]`:        "mine.toml:5: error: dos.sh: its first line ends as on Windows",
		`["./gone.py"]`:       "mine.toml:5: error: gone.py: its interpreter /opt/none/python3 is not there",
		`["./env.py"]`:        "mine.toml:5: error: env.py: its interpreter python-that-is-not-there is not there",
		`["sh", "${TFPILOT_PAYLOAD_DIR}/none.sh"]`: "mine.toml:5: error: ${TFPILOT_PAYLOAD_DIR}/none.sh is not there: ",
	} {
		_, problems := lint.Payload(write(t, dir, "mine.toml", good+"command = "+command), construct)
		mustBe(t, printed(dir, problems), want)
		if problems[0].Code != exitcode.SiteNoProgram.Code || problems[0].Next == "" {
			t.Errorf("%s: %+v", command, problems[0])
		}
	}
}

func TestAProgramThatMayNotBeStartedIsToBeMadeExecutable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain.sh"), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := lint.Payload(write(t, dir, "mine.toml", good+"command = [\"./plain.sh\"]\n"), construct)
	if len(problems) != 1 || problems[0].Line != 5 || !strings.HasSuffix(problems[0].Text, "is it executable (chmod +x)?") {
		t.Errorf("%+v", problems)
	}
}

func TestAContainerThatCannotBeHadHasTheLineOfItsImage(t *testing.T) {
	t.Parallel()
	file := write(t, t.TempDir(), "mine.toml", good+"command = [\"sh\"]\n[container]\nimage = \"./none.sif\"\n")
	_, problems := lint.Payload(file, func(payloadfile.Spec) error {
		return exitcode.New(exitcode.SiteContainer, "looking for the container's image: stat /folder/none.sif")
	})
	if len(problems) != 1 || problems[0].Line != 7 {
		t.Errorf("%+v", problems)
	}
}

func TestWhatIsSeldomMeantIsAWarning(t *testing.T) {
	t.Parallel()
	mustBe(t, found(t, t.TempDir(), "name = \"a\"\nkind = \"command\"\ncommand = [\"sh\", \"-ec\", \"cat $TFPILOT_INPUT\"]\n[env]\nMY_TOKEN = \"x\"\nOTHER_TOKEN = \"/file\"\n"),
		"mine.toml: warning: no version", "mine.toml: warning: no memory_mb",
		"mine.toml:5: warning: env.MY_TOKEN looks like a secret")
}

func TestAResultsMistakeHasItsLine(t *testing.T) {
	t.Parallel()
	const histogram = `{"name": "pt",` + "\n" + ` "nbins": 2, "low": 0, "high": 2,` + "\n" + ` "counts": [3, 1],` + "\n" + ` "entries": 5, "sum_w": 4, "sum_wx": 3, "sum_wx2": 3}`
	for text, want := range map[string]string{
		"{\n\"counts\": {\"a\": 1,\n\"events\": -1}}":                "r.json:3: error: count events is negative",
		"{\"counts\": {},\n\"histograms\": [\n" + histogram + "\n]}": "r.json:6: error: histogram pt: 5 entries, but its bins add up to 4",
		"{\n\"count\": {}}":                              `r.json:2: error: unknown key "count"`,
		"{\n\n\"Counts\": {}}":                           `r.json:3: error: key "Counts" is meant to be "counts"`,
		"{\"counts\":\n{\"a\": 1.5}}":                    "r.json:2: error: counts is 1.5 where a whole number is meant",
		"{\"counts\":\n{\"a\":\nx}}":                     "r.json:3: error: invalid character 'x'",
		"{\"counts\":\n{\"a\": 1}\n":                     "r.json:2: error: it ends in the middle",
		"{\n\"outputs\": [\n{\"name\": \"none.root\"}]}": `r.json:3: error: mine: its result: output "none.root": `,
		"{\n\"failure\":\n{\"name\": \"my_fault\"}}":     `r.json:3: error: failure.name: "my_fault" is none of`,
		"[]": "r.json: error: not a JSON object",
		"{\"failure\": {\"name\": \"data_corrupt\"}}\n":                        "",
		"{\"req_id\": \"whatever\", \"outputs\": [{\"name\": \"mine.root\"}]}": "",
	} {
		dir := t.TempDir()
		write(t, dir, "mine.root", "x")
		problems := lint.Result(t.Context(), write(t, dir, "r.json", text), payloadfile.Spec{Name: "mine"})
		if want == "" {
			mustBe(t, printed(dir, problems))
			continue
		}
		mustBe(t, printed(dir, problems), want)
	}
}

func TestAnErrorOfADocumentIsPlacedByItsWords(t *testing.T) {
	t.Parallel()
	text := []byte("{\n\"a\": {\"name\": \"x\",\n\"low\": 1},\n\"b\": {\"name\": \"y\",\n\"low\": 2}}")
	for about, want := range map[string]int{"histogram y: low": 5, "histogram x: low": 3, `key "y"`: 4, "nothing of it": 0} {
		if got := lint.LineOf(text, errors.New(about)); got != want {
			t.Errorf("%s: line %d, want %d", about, got, want)
		}
	}
}
