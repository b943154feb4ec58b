//go:build integration

package e2e_test

import (
	"fmt"
	"hash/adler32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/message"
)

func TestIntegrationAPilotReadsFromAndKeepsOnAServer(t *testing.T) {
	t.Parallel()
	s, _, _ := remoteFile(t)
	s.Put(t, "out/old", nil) // a folder that the server may write to
	c := newChain(t)
	must(t, c.StartIDDS(t.Context()))
	results := c.results(t)
	must(t, c.StartPilot(t.Context(), "pilot", "--run", run, "--slots", "2", "--data-dir", strings.TrimSuffix(s.HTTP("x"), "/x"), "--output-to", s.HTTP("out"),
		"--input-ca-dir", s.CADir(), "--input-token-file", s.Token(t, "read:/", time.Hour, ""), "--output-token-file",
		s.Token(t, "read:/out write:/out", time.Hour, "")))
	for n := range 4 {
		c.publish(t, slice(n, func(c *message.SliceContent) {
			c.Filename, c.TFFilename = "x.stf", fmt.Sprintf("x.%d.tf", n)
			c.Start, c.End = message.NewInt(int64(10*n)), message.NewInt(int64(10*n+9))
		}))
	}
	places := map[string]bool{}
	for range 4 {
		r := next(t, results)
		if r.Content.Failure != nil || r.Content.Input == nil || len(r.Content.Outputs) != 1 || r.Content.OutputTime == nil {
			t.Fatalf("%+v", r.Content)
		}
		out := r.Content.Outputs[0]
		path, below := strings.CutPrefix(out.Place, s.HTTP(""))
		b, err := os.ReadFile(filepath.Join(s.Export, path))
		if err != nil || !below || int64(len(b)) != out.SizeBytes || fmt.Sprintf("%08x", adler32.Checksum(b)) != out.Adler32 {
			t.Errorf("%+v: %d bytes, %v", out, len(b), err)
		}
		places[out.Place] = true
	}
	if len(places) != 4 {
		t.Errorf("four slices have their outputs at %v", places)
	}
}
