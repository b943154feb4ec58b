package payloadtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programName is the first argument that makes the test binary the program.
const programName = "payloadtest-program"

// command starts the program with a front; the word is for finding its processes.
func command(t *testing.T, front, word string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, programName, front, word}
}

// Whoever imports this package need not remember to be the program; and nothing of the test is to begin in it.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) < 4 || os.Args[1] != programName {
		return
	}
	if os.Args[2] == "daemon" {
		daemon()
	}
	if front := fronts[os.Args[2]]; front != nil {
		syscall.Exit(front())
	}
}

// Program returns the arguments of the program, without those of the suite, when this process is one with a front that is not the
// suite's own. A test's TestMain asks, speaks with the payload, and calls [Do] for each slice.
func Program() (args []string, ok bool) {
	if len(os.Args) < 4 || os.Args[1] != programName {
		return nil, false
	}
	return os.Args[4:], true
}

// fronts are what the program does with each way of being spoken to. They return its exit status.
var fronts = map[string]func() int{
	"command":  commandFront,
	"resident": residentFront,
}

// Task is a slice as the program got it.
type Task struct {
	// Behaviour is the name of the input, without its folder.
	Behaviour string
	ReqID     string
	// Dir is the slice's folder.
	Dir string
	// Say answers with a document; it may be called again.
	Say func(result string)
}

// Failure is an exit status with words for it; 0 for success.
type Failure struct {
	Status int
	Words  string
}

// Do does what a behaviour does with a slice.
func Do(t Task) Failure { return acts[t.Behaviour](t) }

// DiesAfter says that the program is to end well when it has answered.
func (t Task) DiesAfter() bool { return t.Behaviour == diesBetween }

// good is the document of a good slice.
func (t Task) good() string {
	return fmt.Sprintf(`{"req_id":%q,"counts":{%q:1}}`, t.ReqID, success)
}

// commandFront is the program of kind command: one slice, told by variables.
func commandFront() int {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
	var answers strings.Builder
	path := os.Getenv("TFPILOT_RESULT")
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	t := Task{Behaviour: filepath.Base(os.Getenv("TFPILOT_INPUT")), ReqID: os.Getenv("TFPILOT_REQ_ID"), Dir: dir}
	t.Say = func(result string) {
		answers.WriteString(result)
		_ = os.WriteFile(path, []byte(answers.String()), 0o600) // there is none when it has deleted its folder
	}
	f := Do(t)
	if f.Status != 0 {
		fmt.Fprintln(os.Stderr, f.Words)
	}
	return f.Status
}

// residentFront is the program of kind resident: a slice a line, and an answer a line.
func residentFront() int {
	_, _ = os.Stdout.WriteString("{\"ready\":true}\n")
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(nil, 1<<20)
	for requests.Scan() {
		var request struct {
			ReqID string `json:"req_id"`
			Input string `json:"input"`
			Dir   string `json:"dir"`
		}
		if err := json.Unmarshal(requests.Bytes(), &request); err != nil {
			panic(err)
		}
		answered := false
		answer := func(status int, rest string) {
			answered = true
			_, _ = fmt.Fprintf(os.Stdout, `{"req_id":%q,"status":%d%s}`+"\n", request.ReqID, status, rest)
		}
		t := Task{Behaviour: filepath.Base(request.Input), ReqID: request.ReqID, Dir: request.Dir}
		t.Say = func(result string) { answer(0, `,"result":`+result) }
		if f := Do(t); f.Status != 0 || !answered {
			answer(f.Status, fmt.Sprintf(`,"message":%q`, f.Words))
		}
		if t.DiesAfter() {
			return 0
		}
	}
	return 0
}

// daemons is how many processes "leaves daemons" leaves.
const daemons = 3

// startDaemon starts a process that lives on, in a session of its own and without any environment.
func startDaemon() {
	p, err := os.StartProcess("/proc/self/exe", []string{os.Args[0], programName, "daemon", os.Args[3]}, &os.ProcAttr{
		Env: []string{}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		panic(err)
	}
	_ = p.Release()
}

func daemon() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
	<-time.After(time.Hour)
	syscall.Exit(0)
}
