package iddscmd_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"tfpilot/cmd/idds/iddscmd"
	"tfpilot/internal/document"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

func (in *instance) client(t *testing.T, role string) *rest.Client {
	t.Helper()
	token, err := os.ReadFile(in.token(t, role))
	must(t, err)
	return rest.New(rest.Config{Base: in.url, Token: strings.TrimSpace(string(token))})
}

func TestWhatIsKnownBesideSlicesIsShown(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	in.publish(t, message.TopicEpic,
		message.RunMessage{MsgType: message.TypeStartRun, RunID: message.Run("100001"), State: "run", Substate: "physics", Sender: "daq_simulator-agent-me-1"},
		message.STFGen{MsgType: message.TypeSTFGen, RunID: message.Run("100001"), Filename: "f.stf", Sequence: 1, SizeBytes: 2_500_000, Adler32: "0f00ba11", State: "run", Substate: "physics"},
		message.TFFileRegistered{MsgType: message.TypeTFFileRegistered, RunID: message.Run("100001"), TFFilename: "f_tf_001.tf", STFFilename: "f.stf", TFFirst: 3, TFLast: 5, TFCount: 3, Status: "registered"},
		map[string]string{"msg_type": "odd"}, map[string]string{"odd": "\x1b[31m<b>"})
	in.publish(t, message.TopicSlices, slice("slice-a"))
	client := in.client(t, "harvester")
	must(t, client.Post(t.Context(), "/v1/components", document.Component{Name: "site-a", Role: "harvester", State: "READY", Details: "all\nis well"}, new(document.Component)))
	must(t, client.Post(t.Context(), "/v1/logs", document.LogBatch{Records: []document.LogRecord{
		{Component: "site-a", Role: "harvester", Level: "WARN", Message: "no batch system", Attrs: map[string]string{"err": "gone"}},
		{Component: "site-b", Level: "INFO", Message: "all is well", RunID: "100001"},
	}}, new(document.LogReceipt)))
	until(t, "the slice and its file", func() bool {
		return strings.Contains(columns(in.ask(t, "files", "100001").stdout), "\nf.stf taken run/physics")
	})

	o := in.ask(t, "files", "100001")
	o.mustSay(t, 0, "0f00ba11", "2.5")
	until(t, "the time-frame file", func() bool {
		return strings.Contains(columns(in.ask(t, "files", "100001", "--stf", "f.stf").stdout), "\nf_tf_001.tf f.stf 3-5 3 registered")
	})
	in.ask(t, "files", "100001", "--stf", "all").mustSay(t, 0, "f_tf_001.tf")
	in.ask(t, "files").mustSay(t, 64, "needs the number of one run")
	in.ask(t, "files", "7").mustSay(t, 64, "no run 7", "`idds runs` lists")

	o = in.ask(t, "components")
	o.mustSay(t, 0, "idds/broker", "idds/detector", "all; is well", "daq_simulator-agent-me-1")
	if got := columns(o.stdout); !strings.Contains(got, "\nsite-a harvester READY yes ") {
		t.Errorf("%s", o.stdout)
	}
	if o = in.ask(t, "components", "--role", "harvester", "--alive", "--output", "quiet"); o.stdout != "site-a\n" {
		t.Errorf("%q", o.stdout)
	}

	if o = in.ask(t, "logs", "--level", "warn"); !strings.HasSuffix(columns(o.stdout), " WARN site-a no batch system err=gone\n") || strings.Contains(o.stdout, "site-b") {
		t.Errorf("%s", o.stdout)
	}
	in.ask(t, "logs", "--run", "100001", "--component", "site-b", "--last", "1h").mustSay(t, 0, "all is well run_id=100001")
	in.ask(t, "logs", "--component", "nobody").mustSay(t, 0, "none was kept that fits", "knows nothing of before")
	in.ask(t, "logs", "--level", "loud").mustSay(t, 64, `--level "loud" is none of DEBUG, INFO, WARN, ERROR`)
	in.ask(t, "logs", "--limit", "0").mustSay(t, 64, "--limit 0 is none of 1 to 1000")

	until(t, "the junk", func() bool { return strings.Contains(in.ask(t, "messages", "--junk").stdout, "no msg_type") })
	if o = in.ask(t, "messages"); strings.ContainsAny(o.stdout, "\x1b") {
		t.Errorf("%q", o.stdout)
	}
	var page document.RecentPage[document.SeenMessage]
	o = in.ask(t, "messages", "--type", "stf_gen", "--output", "json")
	if err := json.Unmarshal([]byte(o.stdout), &page); err != nil || len(page.Items) != 1 || !strings.Contains(string(page.Items[0].Body), "0f00ba11") {
		t.Errorf("%v: %s", err, o.stdout)
	}
}

func TestLinesAreFollowedUntilCtrlC(t *testing.T) {
	in := serve(t, t.TempDir())
	client := in.client(t, "pilot")
	say := func(text string) {
		t.Helper()
		must(t, client.Post(t.Context(), "/v1/logs", document.LogBatch{Records: []document.LogRecord{{Component: "p1", Level: "INFO", Message: text}}}, new(document.LogReceipt)))
	}
	say("first")
	t.Setenv("TFPILOT_IDDS", in.url)
	t.Setenv("TFPILOT_TOKEN_FILE", in.viewer)
	out := &logLines{}
	app := iddscmd.App()
	app.Writer, app.ErrWriter = out, out
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- program.Run(ctx, app, []string{"idds", "logs", "--follow", "--output", "json"}) }()
	until(t, "the first line", func() bool { return strings.Contains(out.String(), `"first"`) })
	say("second")
	until(t, "the second line", func() bool { return strings.Contains(out.String(), `"second"`) })
	cancel()
	if status := <-ended; status != 0 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%d: %s", status, out)
	}
}

func TestLinesOfAgentsAreTakenWhereThatIsWanted(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--agent-logs")
	resp, err := http.Post(in.url+"/api/logs/", "application/json", strings.NewReader(`{"app_name":"data_agent","levelname":"ERROR","message":"late"}`)) //nolint:noctx // a test
	must(t, err)
	must(t, resp.Body.Close())
	in.ask(t, "logs", "--role", "data_agent", "--level", "error").mustSay(t, 0, "late")
}

func TestTheDetectorIsNotListenedToWhereThatIsNotWanted(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir(), "--detector-topic", "")
	if o := in.ask(t, "components"); strings.Contains(o.stdout, "detector") || o.status != 0 {
		t.Errorf("%d: %s", o.status, o.stdout)
	}
}
