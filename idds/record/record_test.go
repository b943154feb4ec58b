package record_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"tfpilot/idds/record"
	"tfpilot/idds/sqlite"
	"tfpilot/internal/broker"
	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/recent"
	"tfpilot/internal/stompd"
	"tfpilot/internal/testkit"
)

var (
	must = testkit.Must
	soon = testkit.Soon
)

const (
	namespace = "test"
	run       = "102023"
)

// rig is the embedded broker, a record on it with a store on disk, and a line of the test's own.
type rig struct {
	t      *testing.T
	addr   string
	dir    string
	link   *broker.Link
	store  *sqlite.Store
	memory *recent.Memory
	record *record.Record
	now    func() time.Time
	kill   func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	b, err := stompd.New(stompd.Config{})
	must(t, err)
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	r := &rig{t: t, addr: ln.Addr().String(), dir: t.TempDir(), now: time.Now}
	r.background(func(ctx context.Context) error { return b.Serve(ctx, ln) })
	r.link = r.newLink("test")
	r.start()
	return r
}

// background runs something until it is stopped, at the latest when the test ends.
func (r *rig) background(fn func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := fn(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-ended }
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) newLink(client string) *broker.Link {
	r.t.Helper()
	l, err := broker.New(broker.Config{Addrs: []string{r.addr}, ClientID: client, Tuning: broker.Tuning{FirstWait: time.Millisecond}})
	must(r.t, err)
	r.background(l.Run)
	return l
}

func (r *rig) start() {
	r.t.Helper()
	var err error
	r.store, err = sqlite.Open(r.t.Context(), r.dir, logging.Discard())
	must(r.t, err)
	store := r.store
	r.t.Cleanup(func() { _ = store.Close() })
	r.memory = recent.New(nil)
	r.record = record.New(r.store, r.memory, logging.Discard(), record.Config{
		Namespace: namespace, Link: r.newLink("idds"), Now: r.now, WriteEvery: 5 * time.Millisecond,
	})
	stop := r.background(r.record.Run)
	r.kill = func() { stop(); _ = store.Close() }
	<-r.record.Ready()
}

// say publishes as the agents of the production system do: without any header.
func (r *rig) say(bodies ...string) {
	r.t.Helper()
	for _, body := range bodies {
		must(r.t, r.link.Publish(soon(r.t), broker.Out{Destination: message.TopicEpic, Body: []byte(body)}))
	}
}

// until waits for something that nobody tells us of.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := soon(r.t); !ok(); {
		select {
		case <-tick.C:
		case <-limit.Done():
			r.t.Fatalf("waited too long for %s", what)
		}
	}
}

func (r *rig) detector(id string) document.Detector {
	r.t.Helper()
	d, err := r.store.Detector(r.t.Context(), namespace, id)
	must(r.t, err)
	if d == nil {
		return document.Detector{}
	}
	return *d
}

func (r *rig) files() []document.STFFile {
	r.t.Helper()
	list, err := r.store.Files(r.t.Context(), ledger.FileFilter{Namespace: namespace, Run: run})
	must(r.t, err)
	var out []document.STFFile
	for i := range list {
		out = append(out, list[i].Document())
	}
	return out
}

// known are the components by name, as the roll has them.
func (r *rig) known() map[string]document.Component {
	r.t.Helper()
	list, err := record.NewRoll(r.record, alone{}).Components(r.t.Context(), namespace)
	must(r.t, err)
	out := map[string]document.Component{}
	for _, c := range list {
		out[c.Name] = c
	}
	return out
}

// alone is a service with those pilots.
type alone struct{ pilots []document.Worker }

func (alone) Health(context.Context) document.Health {
	return document.Health{At: time.Now(), Parts: []document.HealthPart{{Name: "store", OK: true}, {Name: "broker", Details: "gone"}}}
}

func (a alone) WorkersSince(context.Context, string, time.Time) ([]document.Worker, error) {
	return a.pilots, nil
}

func TestARollWithoutPilotsAsksNoStore(t *testing.T) {
	t.Parallel()
	rec := record.New(newShelf(), recent.New(nil), logging.Discard(), record.Config{Namespace: namespace})
	rec.Report(document.Component{Name: "farm", Role: "harvester"})
	names := func(list []document.Component) string {
		var out []string
		for _, c := range list {
			out = append(out, c.Name)
		}
		return strings.Join(out, " ")
	}
	roll := record.NewRoll(rec, alone{pilots: []document.Worker{{WorkerReport: document.WorkerReport{PilotID: "pilot-1"}}}})
	if got := names(roll.Programs(t.Context(), namespace)); got != "idds idds/broker idds/store farm" {
		t.Errorf("programs: %s", got)
	}
	all, err := roll.Components(t.Context(), namespace)
	if got := names(all); err != nil || got != "idds idds/broker idds/store farm pilot-1" {
		t.Errorf("all: %s, %v", got, err)
	}
}

func TestTheDetectorsStateFollowsItsMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	local := time.Now().Add(-5 * time.Hour).Format("2006-01-02T15:04:05.000000") // as the production runner writes it
	word := func(msgType, more string) string {
		return fmt.Sprintf(`{"msg_type":%q,"namespace":%q,"execution_id":"e","run_id":%q,"timestamp":%q,"simulation_tick":1.5,"sender":"daq_simulator-agent-me-450"%s}`,
			msgType, namespace, run, local, more)
	}
	r.say(word("run_imminent", `,"state":"beam","substate":"not_ready"`), word("start_run", `,"state":"run","substate":"physics"`),
		word("start_run", `,"state":"run","substate":"physics"`), // again
		word("pause_run", `,"state":"run","substate":"standby","reason":"x"`))
	r.until("the pause", func() bool { return r.detector(run).Substate == "standby" })
	if d := r.detector(run); time.Since(d.Since).Abs() > time.Minute || len(d.Changes) != 3 || d.Announced != nil {
		t.Errorf("%+v", d)
	}
	r.kill()
	r.say(word("resume_run", ""), word("end_run", `,"total_stf_files":7`)) // while nobody listens
	r.start()
	r.until("the end", func() bool { return r.detector(run).State == "ended" })
	d := r.detector(run)
	var seq []string
	for _, c := range d.Changes {
		seq = append(seq, c.State+"/"+c.Substate)
	}
	if got := strings.Join(seq, " "); got != "beam/not_ready run/physics run/standby run/physics ended/" || d.Announced == nil || *d.Announced != 7 {
		t.Errorf("%s, %+v", got, d)
	}
	if c := r.known()["daq_simulator-agent-me-450"]; c.Role != "daq_simulator" || c.State != "SEEN" || c.RunID != run || !c.Alive {
		t.Errorf("%+v", c)
	}
}

func TestFilesAreKnownInAllShapesOfTheirMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say(
		// The runner and the agents of 2026.
		`{"msg_type":"stf_gen","namespace":"test","run_id":"102023","filename":"swf.102023.000001.stf","sequence":1,"timestamp":"2026-01-18T09:36:02.100001","simulation_tick":15.2,"state":"run","substate":"physics","sender":"daq"}`,
		`{"msg_type":"stf_ready","namespace":"test","run_id":"102023","filename":"swf.102023.000001.stf","file_url":null,"checksum":null,"size_bytes":null,"start":null,"end":null,"state":"run","substate":"physics","sequence":1,"processed_by":"data-agent-me-1","sender":"data-agent-me-1"}`,
		`{"msg_type":"tf_file_registered","run_id":"102023","execution_id":null,"namespace":"test","tf_file_id":"3f","tf_filename":"swf.102023.000001_tf_001.tf","stf_filename":"swf.102023.000001.stf","tf_first":10,"tf_last":30,"tf_count":21,"file_size_bytes":21,"status":"registered","processed_by":"fastmon-agent-me-2"}`,
		// The DAQ simulator and the fast monitor of 2025: numbers, times of digits, a decimal checksum, a list without ranges.
		`{"msg_type":"stf_gen","run_id":102023,"state":"run","substate":"physics","filename":"swf.102023.000002.stf","start":"20250914185722420185","end":"20250914185723420185","checksum":"ad:305419896","size":2048,"req_id":1}`,
		`{"msg_type":"tf_file_registered","run_number":102023,"tf_filename":"swf.102023.000002_tf_001.tf","stf_filename":null,"status":"registered"}`,
		// Ours.
		`{"msg_type":"stf_gen","namespace":"test","run_id":"102023","filename":"swf.102023.000003.stf","sequence":3,"size_bytes":1024,"adler32":"0f00ba11","tf_count":1000,"file_url":"root://h//swf.102023.000003.stf"}`,
		// Not a file: an agent for Rucio says it once for a run.
		`{"namespace":"test","sender":"data","req_id":1,"msg_type":"stf_ready","run_id":"102023"}`,
		// Again, as after a lost connection.
		`{"msg_type":"stf_gen","run_id":102023,"state":"run","substate":"physics","filename":"swf.102023.000002.stf","checksum":"ad:305419896","size":2048,"req_id":1}`,
		`{"msg_type":"pause_run","namespace":"test","run_id":"102023"}`,
	)
	r.until("the last message", func() bool { return r.detector(run).Substate == "standby" })
	files := r.files()
	if len(files) != 3 {
		t.Fatalf("%+v", files)
	}
	if f := files[0]; f.Status != "ready" || f.Sequence != 1 || f.TFFiles != 1 || f.ReadyBy != "data-agent-me-1" || f.TakenBy != "daq" || time.Since(f.TakenAt).Abs() > time.Minute {
		t.Errorf("%+v", f)
	}
	if f := files[1]; f.Status != "taken" || f.SizeBytes != 2048 || f.Adler32 != "12345678" || f.TFFiles != 1 || f.Start.IsZero() || f.End.Sub(f.Start) != time.Second {
		t.Errorf("%+v", f)
	}
	if f := files[2]; f.SizeBytes != 1024 || f.Adler32 != "0f00ba11" || f.Frames != 1000 || f.URL == "" {
		t.Errorf("%+v", f)
	}
	if d := r.detector(run); d.STFs != 3 || d.STFBytes != 3072 || d.LastSTFAt.IsZero() {
		t.Errorf("%+v", d)
	}
	tfs, err := r.store.TFFiles(t.Context(), ledger.TFFilter{Namespace: namespace, Run: run})
	if err != nil || len(tfs) != 2 || *tfs[0].First != 10 || *tfs[0].Last != 30 || tfs[0].ID != "3f" || tfs[1].First != nil || tfs[1].STF != "swf.102023.000002.stf" {
		t.Errorf("%+v, %v", tfs, err)
	}
}

func TestJunkAndOthersMessagesChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say(
		"", "nonsense", "[]", "null", `{"msg_type":17}`, `{"no":"type"}`, `{"msg_type":"stf_gen","run_id":"1"}`, `{"msg_type":"start_run"}`,
		`{"msg_type":"stf_gen","run_id":{"x":1},"filename":"f"}`, `{"msg_type":"stf_gen","run_id":"1","filename":"../../etc/passwd"}`,
		`{"msg_type":"stf_gen","run_id":"1","filename":"f","sequence":"many"}`, `{"msg_type":"start_run","run_id":"`+strings.Repeat("9", 5000)+`"}`,
		`{"msg_type":"stf_gen","run_id":"1","filename":"`+strings.Repeat("f", 100_000)+`"}`,
		`{"msg_type":"start_run","run_id":"1","namespace":"theirs","sender":"their-daq"}`, `{"msg_type":"sse_test"}`,
		"<html><script>alert(1)</script>\xff\x01</html>",
		`{"msg_type":"start_run","run_id":"102023'; DROP TABLE stf; --\u0000","state":"<b>run</b>","substate":"`+strings.Repeat("s", 500)+`"}`,
		`{"msg_type":"start_run","run_id":"102023","state":"run","substate":"physics","timestamp":"2099-01-01T00:00:00Z"}`,
	)
	r.until("the last message", func() bool { return r.detector(run).State == "run" })
	if d := r.detector(run); time.Since(d.Since).Abs() > time.Minute {
		t.Errorf("it is in the future: %+v", d)
	}
	if d := r.detector("1"); d.State != "" || d.STFs != 0 {
		t.Errorf("%+v", d)
	}
	junk, err := r.memory.Messages(recent.Query{Junk: true})
	if err != nil || len(junk.Items) != 14 {
		t.Errorf("%d are junk, %v", len(junk.Items), err)
	}
	all, err := r.memory.Messages(recent.Query{})
	for _, m := range all.Items {
		if m.Namespace != namespace || strings.Contains(string(m.Body), "theirs") {
			t.Errorf("%+v", m)
		}
	}
	if err != nil || len(all.Items) != 17 {
		t.Errorf("%d messages, %v", len(all.Items), err)
	}
	if c := r.known(); len(c) != 4 { // idds with its parts
		t.Errorf("%+v", c)
	}
}

func TestABrokerThatLetsUsHearNothingStopsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	refusing, err := broker.New(broker.Config{Addrs: []string{r.addr}, Tuning: broker.Tuning{FirstWait: time.Millisecond}})
	must(t, err)
	closed := r.background(refusing.Run)
	closed() // a line that has ended
	rec := record.New(r.store, r.memory, logging.Discard(), record.Config{Namespace: namespace, Link: refusing})
	r.background(rec.Run)
	select {
	case <-rec.Ready():
	case <-soon(t).Done():
		t.Fatal("it waits for ever")
	}
	if part, ok := rec.Health(); !ok || part.OK {
		t.Errorf("%+v", part)
	}
}
