package iddscmd_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/message"
)

func TestWhatARunWantsIsExplained(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	in := serve(t, t.TempDir())
	announce := message.RunImminentWorker{MsgType: message.TypeRunImminentWorker, RunID: message.Run("100001"), CreatedAt: message.At(time.Now()), Namespace: "default"}
	announce.Content.TargetWorkerCount, announce.Content.SliceProcessingTime = message.NewInt(3), message.NewFloat(2.5)
	in.publish(t, message.TopicWorkers, announce)
	until(t, "the run", func() bool { return strings.Contains(in.ask(t, "explain", "demand", "100001").stdout, "wants 3") })
	in.ask(t, "explain", "demand", "100001").mustSay(t, 0, "Run 100001 (default, open) wants 3.", "The run asked for 3 workers.", "No slice has come yet")
	in.ask(t, "explain", "demand").mustSay(t, 0, "Run 100001 (default, open) wants 3.")
	in.ask(t, "explain", "demand", "100001", "--output", "quiet").mustSay(t, 0, "100001\n")

	var d document.Demand
	o := in.ask(t, "explain", "demand", "100001", "--output", "json")
	must(t, json.Unmarshal([]byte(o.stdout), &d))
	if len(d.Demands) != 1 || d.Demands[0].Wanted != 3 || d.Demands[0].Facts.Asked != 3 || d.Demands[0].Facts.GoalSeconds != 30 {
		t.Errorf("%+v", d)
	}
	in.publish(t, message.TopicSlices, slice("s1"))
	until(t, "the slice", func() bool {
		return strings.Contains(in.ask(t, "explain", "demand", "100001").stdout, "1 slice waits")
	})
	in.ask(t, "explain", "demand", "100001").mustSay(t, 0, "thought to take 2.5 s")

	in.ask(t, "explain", "demand", "8").mustSay(t, 64, "run 8 is not known")
	in.ask(t, "explain", "demand", "8", "9").mustSay(t, 64, "takes one run")
	in.ask(t, "explain", "demand", "--namespace", "other").mustSay(t, 0, "No run wants workers.")
}

func TestDemandIsSimulated(t *testing.T) { //nolint:paralleltest // all apps share one help flag
	o := command(t, "simulate-demand", "--scenario", "ends-early", "--seed", "3")
	o.mustSay(t, 0, "policy", "python rule", "the need", "cheapest that is as good")
	command(t, "simulate-demand", "--scenario", "ends-early", "--all", "--output", "json").mustSay(t, 0, `"strategy": "fixed 34"`, `"better": []`)
	command(t, "simulate-demand", "--scenario", "sunny").mustSay(t, 64, `"sunny" is none of steady, burst`)
	command(t, "simulate-demand", "--demand-costs", "here").mustSay(t, 64, `"here" is not SITE=NUMBER`)
	command(t, "simulate-demand", "5").mustSay(t, 64)
	command(t, "serve", "--state", t.TempDir(), "--demand-max-run", "-1").mustSay(t, 64, "--demand-max-run")
}
