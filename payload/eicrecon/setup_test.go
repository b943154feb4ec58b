package eicrecon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tfpilot/internal/container"
	"tfpilot/internal/keeper"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/proc"
	"tfpilot/payload"
	"tfpilot/payload/eicrecon"
	"tfpilot/payload/payloadtest"
)

// TestMain makes the test binary the reconstruction when it is called by its name; see standin_test.go.
func TestMain(m *testing.M) {
	if args, ok := payloadtest.Program(); ok {
		suiteProgram(args)
		return
	}
	if filepath.Base(os.Args[0]) == "eicrecon" {
		standIn(os.Args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// site is a node with a stand-in for the reconstruction: the versions 26.03.0 and 26.04.0 of the detector, and no container.
type site struct {
	dir   string
	spec  payloadfile.Spec
	files atomic.Int32
}

// newSite installs the reconstruction: what a shell executes, without its arguments.
func newSite(t *testing.T, program string) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	bin := filepath.Join(s.dir, "bin")
	write(t, filepath.Join(bin, "eicrecon"), "#!/bin/bash\nexec "+program+" \"$@\"\n", 0o755)
	for _, version := range []string{"26.03.0", "26.04.0"} {
		// As the real one does, it changes the arguments of whoever is careless with them.
		write(t, filepath.Join(s.dir, "detector", "epic-"+version, "bin", "thisepic.sh"), "set -- x y\nexport PATH="+bin+":$PATH DETECTOR_VERSION="+version+"\n", 0o644)
	}
	s.spec = payloadfile.Spec{
		Name: "eicrecon", Version: "1", Kind: payloadfile.KindEICrecon, Timeout: time.Minute, Grace: 2 * time.Second,
		EICrecon: payloadfile.EICrecon{
			Mode: payloadfile.EICreconZMQ, Image: payloadfile.NoImage, Detector: filepath.Join(s.dir, "detector"),
			StartupTimeout: time.Minute, RequestTimeout: time.Minute,
		},
	}
	return s
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// slice is one of a new file with these events, all of them unless more is said of its content.
func (s *site) slice(t *testing.T, over string, events ...string) message.Slice {
	t.Helper()
	n := s.files.Add(1)
	file := filepath.Join(s.dir, fmt.Sprintf("f%d.edm4hep.root", n))
	write(t, file, "edm4hep\n"+strings.Join(events, "\n")+"\n", 0o644)
	content := map[string]any{
		"req_id": fmt.Sprintf("r%d", n), "filename": file, "tf_filename": fmt.Sprintf("f%d_slice_000.tf", n), "slice_id": 0, "start": 0, "end": len(events) - 1,
	}
	if err := json.Unmarshal([]byte(over), &content); over != "" && err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"msg_type": "slice", "run_id": "7", "content": content})
	if err != nil {
		t.Fatal(err)
	}
	var m message.Slice
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// place is a slot with the payload in it.
type place struct {
	*testing.T
	payload payload.Payload
	slot    payload.Slot
	keepers *keeper.Keepers
	started atomic.Int32 // daemons
	sockets string
}

// open makes the payload of the site and a slot for it. At the end nothing may be left.
func (s *site) open(t *testing.T) *place {
	t.Helper()
	spec := s.spec
	spec.EICrecon.SocketDir = shortDir(t)
	p, err := eicrecon.New(spec)
	if err != nil {
		t.Fatal(err)
	}
	keepers, err := keeper.New(keeper.Session, int64(spec.MemoryMB)<<20)
	if err != nil {
		t.Fatal(err)
	}
	pl := &place{T: t, payload: p, keepers: keepers, sockets: spec.EICrecon.SocketDir}
	pl.slot = payload.Slot{
		Dir: t.TempDir(), DataDir: s.dir,
		Start: func(ctx context.Context, c proc.Command, l keeper.Limits) (*keeper.Program, error) {
			if slices.ContainsFunc(c.Args, func(a string) bool { return strings.HasPrefix(a, "-Ppodio:managed_socket_path=") }) {
				pl.started.Add(1)
			}
			return keepers.Start(ctx, c, l)
		},
		StartIn: func(ctx context.Context, image string, c proc.Command, l keeper.Limits, binds ...container.Bind) (*keeper.Program, error) {
			inside := *spec.Container
			inside.Image = image
			box, err := container.New(inside, container.Place{})
			if err != nil {
				return nil, err
			}
			s, err := box.Start(c, binds...)
			if err != nil {
				return nil, err
			}
			return pl.slot.Start(ctx, s.Command, l)
		},
		Log: func() payload.Log {
			return payload.Log{Stdout: testLog{t, "between, out: "}, Stderr: testLog{t, "between, err: "}, Close: func(bool) []string { return nil }}
		},
	}
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		keepers.Close()
		if left, _ := os.ReadDir(pl.sockets); len(left) > 0 {
			t.Errorf("%s is left in the folder of sockets", left)
		}
		if left := pl.daemons(); len(left) > 0 {
			t.Errorf("processes %d are left", left)
		}
	})
	return pl
}

// testLog shows what is printed when a test fails.
type testLog struct {
	t    *testing.T
	head string
}

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s%.2000s", l.head, b)
	return len(b), nil
}

// run works on a slice; the texts are those of its outputs.
func (pl *place) run(ctx context.Context, m message.Slice) (res payload.Result, texts []string, err error) {
	pl.Helper()
	dir, err := os.MkdirTemp(pl.slot.Dir, "slice-")
	if err != nil {
		pl.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	res, err = pl.payload.Run(ctx, payload.Request{
		Slice: m, Input: m.Content.Filename, Dir: dir, Slot: pl.slot, Run: pl.keepers.Run,
		Log: payload.Log{Stdout: testLog{pl.T, "out: "}, Stderr: testLog{pl.T, "err: "}},
	})
	for _, o := range res.Outputs {
		b, rerr := os.ReadFile(filepath.Join(dir, o.Name))
		if rerr != nil {
			pl.Error(rerr)
		}
		texts = append(texts, string(b))
	}
	return res, texts, err
}

// mustDo works on a slice that has nothing wrong with it, and says so when it is not done.
func (pl *place) mustDo(m message.Slice, want string) payload.Result {
	pl.Helper()
	res, texts, err := pl.run(pl.Context(), m)
	if err != nil || len(texts) != 1 || texts[0] != "edm4eic\n"+want {
		pl.Errorf("%q, %v", texts, err)
	}
	return res
}

// daemons are the processes that have the slot's sockets in their command lines.
func (pl *place) daemons() (pids []int) {
	pl.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		pl.Fatal(err)
	}
	for _, line := range lines {
		if text, err := os.ReadFile(line); err == nil && strings.Contains(string(text), pl.sockets) {
			pid, _ := strconv.Atoi(strings.Split(line, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}
