package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tfpilot/internal/broker"
	"tfpilot/internal/message"
	"tfpilot/internal/stompd"
)

// promises is what pilots do on every broker. counts says that a slice that is given back has failed a delivery there.
func promises(t *testing.T, counts bool, world func(*testing.T) *production) {
	t.Helper()
	for name, so := range map[string]func(*testing.T, *production, bool){
		"an idle pilot leaves at once after the stop message":              leavesAtOnce,
		"a pilot leaves in time after a signal, whatever its payload does": leavesNatively,
		"the first slice of a pilot without a run is worked on once":       bindsLate,
		"junk has no result, and others' slices stay":                      leavesOthersAlone,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			so(t, world(t), counts)
		})
	}
}

func TestPilotsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	promises(t, false, func(t *testing.T) *production { t.Helper(); return inProcess(t, stompd.Config{}) })
}

func TestPilotsKeepTheirPromisesInTheModeClassic(t *testing.T) {
	t.Parallel()
	promises(t, true, func(t *testing.T) *production { t.Helper(); return inProcess(t, stompd.Config{Mode: stompd.Classic}) })
}

// slice is slice n of a run in the world's namespace.
func (p *production) slice(n int, runID string) message.Slice {
	m := slice(n, func(s *message.SliceContent) { s.RunID, s.ReqID = message.Run(runID), message.Text(p.id(n)) })
	m.RunID, m.Namespace = message.Run(runID), p.namespace
	return m
}

func (p *production) id(n int) string { return p.namespace + "-" + strconv.Itoa(n) }

// leavesAtOnce: the run id of the stop message is a number, the pilot has waited for a slice for a while.
func leavesAtOnce(t *testing.T, p *production, _ bool) {
	t.Helper()
	tap := newTap(t, p.addr)
	pilot := p.startPilot(t, tap.addr, t.TempDir(), "--run", run, "--payload", "synthetic", "--slots", "3", "--stop-quiet", "1h", "--idle-timeout", "1h")
	for n := range 5 {
		p.publishSlice(t, p.slice(n, run))
	}
	tap.until(t, "all slices are acknowledged", func() bool { return len(tap.acked) == 5 })
	idle := time.Now()
	await(t, "the pilot to be idle", func() bool { return time.Since(idle) > time.Second })
	began := time.Now()
	p.stop(t)
	if r, err := pilot.Wait(); err != nil || r.ExitCode != 0 { // that it ends at all: every other reason is an hour away
		t.Errorf("exit status %d, %v", r.ExitCode, err)
	}
	t.Logf("stop message to exit: %s", time.Since(began).Round(time.Millisecond)) // 1 s is promised, on a machine that does nothing else
}

// leavesNatively: what a job of PanDA does, with the options of `pilot run`.
func leavesNatively(t *testing.T, p *production, counts bool) {
	t.Helper()
	tap, dir := newTap(t, p.addr), t.TempDir()
	begun, payload := filepath.Join(dir, "begun"), filepath.Join(dir, "payload.toml")
	must(t, os.WriteFile(payload, []byte("name = \"deaf\"\nkind = \"command\"\ngrace = \"750ms\"\ncommand = [\"sh\", \"-c\", "+
		strconv.Quote("trap '' TERM; touch "+begun+"; while :; do sleep 0.1; done")+"]\n"), 0o600))
	pilot := p.startPilot(t, tap.addr, dir, "--run", run, "--payload", payload, "--drain-time", "500ms")
	p.publishSlice(t, p.slice(0, run))
	await(t, "the payload", func() bool { _, err := os.Stat(begun); return err == nil })
	began := time.Now()
	must(t, syscall.Kill(pilot.PID(), syscall.SIGTERM))
	kill := time.AfterFunc(2500*time.Millisecond, func() { _ = syscall.Kill(pilot.PID(), syscall.SIGKILL) })
	defer kill.Stop()
	if r, err := pilot.Wait(); err != nil || r.ExitCode != 59 {
		t.Errorf("exit status %d, %v", r.ExitCode, err)
	}
	t.Logf("SIGTERM to exit: %s", time.Since(began).Round(time.Millisecond))
	d, err := p.consume(t, message.QueueSlicesWorkers).Next(soon(t))
	must(t, err)
	if again := d.Header.Get("redelivered") == "true"; again != counts {
		t.Errorf("its delivery was counted: %v, want %v", again, counts)
	}
	must(t, d.Ack(soon(t)))
}

// bindsLate: two runs lie on the queue, and the pilot takes the one whose slice it gets first.
func bindsLate(t *testing.T, p *production, _ bool) {
	t.Helper()
	const other = "100002"
	tap := newTap(t, p.addr)
	p.publishSlice(t, p.slice(0, run))
	for n := 1; n < 4; n++ {
		p.publishSlice(t, p.slice(n, other))
	}
	p.publishSlice(t, p.slice(4, run))
	pilot := p.startPilot(t, tap.addr, t.TempDir(), "--payload", "synthetic")
	tap.until(t, "both slices of the run are acknowledged", func() bool { return tap.acked[p.id(0)] == 1 && tap.acked[p.id(4)] == 1 })
	must(t, syscall.Kill(pilot.PID(), syscall.SIGTERM))
	<-pilot.Done()
	times := 0
	for _, d := range tap.deliveries {
		times += count(d.identity == p.id(0))
	}
	if times != 1 || len(tap.acked) != 2 {
		t.Errorf("the first slice was delivered %d times; acknowledged %v", times, tap.acked)
	}
	left := p.consume(t, message.QueueSlicesWorkers)
	for n := 1; n < 4; n++ {
		p.takes(t, left, p.id(n))
	}
}

// takes acknowledges the next message of a consumer, which has to be that slice.
func (p *production) takes(t *testing.T, c *broker.Consumer, id string) {
	t.Helper()
	d, err := c.Next(soon(t))
	must(t, err)
	must(t, d.Ack(soon(t)))
	if m, err := message.Decode[message.Slice](d.Body); err != nil || m.Content.Identity() != id {
		t.Errorf("got %s, %v, want %s", d.Body, err, id)
	}
}

// leavesOthersAlone: a message whose header says that it is ours and whose body says that it is not, between junk and slices.
func leavesOthersAlone(t *testing.T, p *production, _ bool) {
	t.Helper()
	tap := newTap(t, p.addr)
	results := p.consume(t, message.QueueResultsFast)
	foreign := p.slice(7, run)
	foreign.Namespace = "somebody-else"
	p.publishSlice(t, foreign)
	for _, junk := range []string{"", "{", "[]", `"slice"`, `{"msg_type":"heartbeat"}`, `{"msg_type":"unheard"}`, `{"msg_type":"slice"}`, "null"} {
		must(t, p.link.Publish(soon(t), broker.Out{Destination: message.TopicSlices, Body: []byte(junk), Headers: []string{
			"persistent", "true", "run_id", run, "namespace", p.namespace,
		}}))
	}
	for n := range 3 {
		p.publishSlice(t, p.slice(n, run))
	}
	pilot := p.startPilot(t, tap.addr, t.TempDir(), "--run", run, "--payload", "synthetic")
	var got []string
	for range 3 {
		d, err := results.Next(soon(t))
		must(t, err)
		must(t, d.Ack(soon(t)))
		m, err := message.Decode[message.SliceResult](d.Body)
		must(t, err)
		got = append(got, m.Identity())
	}
	if slices.Sort(got); !slices.Equal(got, []string{p.id(0), p.id(1), p.id(2)}) {
		t.Errorf("results of %v", got)
	}
	tap.until(t, "the slices are acknowledged", func() bool { return len(tap.acked) == 3 })
	must(t, syscall.Kill(pilot.PID(), syscall.SIGTERM))
	<-pilot.Done()
	p.takes(t, p.consume(t, message.QueueSlicesWorkers), p.id(7)) // the junk is gone, the other is there
}
