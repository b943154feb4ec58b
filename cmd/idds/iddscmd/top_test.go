package iddscmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

func TestTopShowsTheBoardOnce(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicSlices, slice("slice-a"), slice("slice-b"))
	in.publish(t, message.TopicResults, result("slice-a", nil))
	until(t, "the run", func() bool { return strings.Contains(in.ask(t, "top", "--once").stdout, "1 of 2") })
	in.ask(t, "top", "--once").mustSay(t, 0, "> 100001", "no workers", "to result")
	var b document.Board
	o := in.ask(t, "top", "--once", "--output", "json")
	if must(t, json.Unmarshal([]byte(o.stdout), &b)); b.Runs[0].Slices.Done != 1 || b.Namespace != "default" {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "top", "--once", "--output", "quiet"); o.stdout != "100001\n" {
		t.Errorf("%q", o.stdout)
	}
	in.ask(t, "top", "--output", "quiet").mustSay(t, 64, "--output quiet")
	in.ask(t, "top", "--once", "more").mustSay(t, 64, `takes no argument "more"`)
}
