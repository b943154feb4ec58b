package eicrecon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/eicrecon"
	"tfpilot/payload/payloadtest"
)

// suiteProgram is the suite's program as the reconstruction: what it says is the output file.
func suiteProgram(argv []string) {
	file, set := arguments(argv)
	path := set["podio:managed_socket_path"]
	if path == "" {
		if f := suiteSlice(file, set["podio:output_file"]); f.Status != 0 {
			die(f.Words, f.Status)
		}
		return
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		die(err.Error(), 1)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			die(err.Error(), 1)
		}
		last := false
		_ = serve(conn, func(text []byte) string {
			var asked struct {
				Input  string `json:"input_file"`
				Output string `json:"output_file"`
				Events int    `json:"nevents"`
			}
			if err := json.Unmarshal(text, &asked); err != nil {
				return `{"status":"error","message":"Invalid JSON"}`
			}
			last = payloadtest.Task{Behaviour: filepath.Base(asked.Input)}.DiesAfter()
			if f := suiteSlice(asked.Input, asked.Output); f.Status != 0 {
				return fmt.Sprintf(`{"status":"error","message":%q}`, f.Words)
			}
			return fmt.Sprintf(`{"status":"completed","output_file":%q,"events_processed":%d}`, asked.Output, asked.Events)
		})
		_ = conn.Close()
		if last {
			return
		}
	}
}

func suiteSlice(file, output string) payloadtest.Failure {
	return payloadtest.Do(payloadtest.Task{Behaviour: filepath.Base(file), Dir: filepath.Dir(output), Say: func(string) {
		_ = os.WriteFile(output, []byte("edm4eic"), 0o600) // there is no folder any more when it has deleted that
	}})
}

// TestEICreconPassesTheSuite in both of its modes.
func TestEICreconPassesTheSuite(t *testing.T) {
	t.Parallel()
	notRead := "the output is a file for others, which nobody here reads"
	kind := func(mode string) payloadtest.Kind {
		return payloadtest.Kind{
			Front: "eicrecon", Counts: map[string]int64{"events": 10},
			Spec: func(s *payloadfile.Spec) {
				at := newSite(t, strings.Join(s.Command, " ")).spec
				s.Kind, s.Command, s.EICrecon = at.Kind, nil, at.EICrecon
				s.EICrecon.Mode, s.EICrecon.SocketDir = mode, shortDir(t)
			},
			New: func(s payloadfile.Spec) (payload.Payload, error) { return eicrecon.New(s) },
			Without: map[string]string{
				"broken result": notRead, "result of another slice": notRead, "answers twice": notRead, "makes too large an output": notRead,
			},
			Verdicts: map[string]payloadtest.Verdict{
				"no result":                    {Failure: exitcode.PayloadBadResult, Words: "no such file"},
				"deletes its work directory":   {Failure: exitcode.PayloadBadResult, Words: "no such file"},
				"lacks a library":              {Failure: exitcode.SiteNoProgram, Words: "error while loading shared libraries"},
				"has a wrong interpreter line": {Failure: exitcode.SiteNoProgram, Words: "cannot be started from this node"},
			},
		}
	}
	t.Run(payloadfile.EICreconOneshot, func(t *testing.T) {
		t.Parallel()
		payloadtest.Run(t, kind(payloadfile.EICreconOneshot))
	})
	t.Run(payloadfile.EICreconZMQ, func(t *testing.T) {
		t.Parallel()
		k := kind(payloadfile.EICreconZMQ)
		k.Stays = true
		maps.Copy(k.Verdicts, map[string]payloadtest.Verdict{
			// Its errors are texts.
			"permanent failure": {Failure: exitcode.PayloadFailed, Words: "never will it"},
			"data failure":      {Failure: exitcode.PayloadFailed, Words: "a frame is damaged"},
			"hang":              {Failure: exitcode.PayloadTimeout, Words: "did not answer within 5s"},
			"ignores TERM":      {Failure: exitcode.PayloadTimeout, Words: "did not answer within 5s"},
			"answers late":      {Failure: exitcode.PayloadTimeout, Words: "did not answer within 5s"},
		})
		payloadtest.Run(t, k)
	})
}
