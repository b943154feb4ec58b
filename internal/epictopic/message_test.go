package epictopic_test

import (
	"errors"
	"strings"
	"testing"

	"tfpilot/internal/epictopic"
	"tfpilot/internal/message"
)

func TestAllShapesOfAMessageAnswerAlike(t *testing.T) {
	t.Parallel()
	type said struct{ run, at, from, file, stf, adler32, other string }
	for body, want := range map[string]said{
		`{"msg_type":"start_run","run_id":"7","sender":"daq","timestamp":"2026-01-18T09:36:02.1"}`: {run: "7", at: "2026-01-18T09:36:02.1", from: "daq"},
		`{"msg_type":"start_run","run_number":7,"processed_by":"monitor","ts":"20250914185722"}`:   {run: "7", at: "20250914185722", from: "monitor"},
		`{"msg_type":"stf_gen","run_id":7,"filename":"/data/a.stf","checksum":"ad:12345"}`:         {run: "7", file: "a.stf", adler32: "00003039"},
		`{"msg_type":"stf_ready","run_id":7,"filename":"a.stf","adler32":"1A2B3C4D"}`:              {run: "7", file: "a.stf", adler32: "1a2b3c4d"},
		`{"msg_type":"stf_ready","run_id":7,"filename":"a.stf","checksum":"md5:no"}`:               {run: "7", file: "a.stf", other: "md5:no"},
		`{"msg_type":"tf_file_registered","run_id":7,"tf_filename":"d/a_tf_001.tf"}`:               {run: "7", file: "a_tf_001.tf", stf: "a.stf"},
		`{"msg_type":"tf_file_registered","run_id":7,"tf_filename":"x.tf","stf_filename":"d/b.stf"}`: {
			run: "7", file: "x.tf", stf: "b.stf",
		},
		`{"agent_name":"agent","status":"OK"}`: {from: "agent"},
	} {
		m, err := epictopic.Read([]byte(body))
		if err != nil || m.Validate() != nil {
			t.Errorf("%s: %v, %v", body, err, m.Validate())
			continue
		}
		got := said{run: m.Run(), at: m.At().Text(), from: m.From(), file: m.File(), stf: m.STF()}
		if got.adler32, got.other = m.Sum(); got != want {
			t.Errorf("%s\n got %+v\nwant %+v", body, got, want)
		}
	}
}

func TestWhatCannotBeNotedSaysWhy(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"msg_type":"start_run"}`: "run_id missing",
		`{"msg_type":"start_run","run_id":"` + strings.Repeat("7", 201) + `"}`:                             "more than 200 bytes",
		`{"msg_type":"stf_gen","run_id":7}`:                                                                "filename missing",
		`{"msg_type":"stf_gen","run_id":7,"filename":"../a.stf"}`:                                          "path leads upward",
		`{"msg_type":"tf_file_registered","run_id":7,"tf_filename":"a_tf_001.tf","stf_filename":"a\nstf"}`: "control character",
	} {
		m, err := epictopic.Read([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", body, err, want)
		}
	}
	for _, junk := range []string{``, `[]`, `{}`, `{"msg_type":""}`, `{"msg_type":"stf_gen","filename":7}`} {
		if _, err := epictopic.Read([]byte(junk)); !errors.Is(err, message.ErrNotMessage) {
			t.Errorf("%s: %v", junk, err)
		}
	}
}
