package wrapper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/keeper"
	"tfpilot/internal/logging"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/proc"
	"tfpilot/payload"
)

// Config is where and how slices are run.
type Config struct {
	// WorkDir holds a folder for each slice being worked on; the temporary folder when empty.
	WorkDir string `toml:"work_dir" help:"folder for the slices' own folders (default: the temporary folder)"`
	// DataDir is where relative file names of slices are looked up, a folder or a URL; the current folder when empty. It is no fence:
	// producers send absolute names too, and those are taken as they are. What leads upward is refused by message.Slice.Validate.
	DataDir string `toml:"data_dir" help:"folder or URL in which relative file names of slices are looked up (default: the current folder)"`
	// Input is for files on remote storage.
	Input InputConfig `toml:",inline"`
	// Keep leaves the folders of slices, for looking at.
	Keep bool `toml:"keep" help:"keep the folders of slices that have been worked on"`
	// Containment is what holds a payload's processes together; the strongest that works on this node when auto.
	Containment keeper.Containment `toml:"containment" default:"auto" help:"what holds a payload's processes together: auto, namespace, cgroup or session"`
	// ContainerOptions are those of the queue, for payloads that run in a container.
	ContainerOptions string `toml:"container_options" help:"container_options of the queue, as for Apptainer: binds and GPUs for payloads that run in a container"`
	// LogDir holds what payloads print; [payloadlog.None] has none written. Logs of failed slices stay there, the others with KeepLogs only.
	LogDir   string `toml:"log_dir" help:"folder for what payloads print, none for no such files (default: tfpilot-logs-UID in the work directory)"`
	KeepLogs bool   `toml:"keep_logs" help:"keep the logs of all payloads, not only of those that failed"`
	// LogMB bounds each of the two logs of a slice, LogsMB the folder; the oldest go first.
	LogMB  int `toml:"log_mb" default:"8" help:"most of a payload's log that is kept, head and tail, in MB"`
	LogsMB int `toml:"logs_mb" default:"256" help:"size of the folder of logs, in MB; the oldest are removed"`

	Output OutputConfig `toml:",inline"`
	// Trace has the outcomes carry how memory and time of processors went; for people who look at one slice.
	Trace bool `toml:"-"`
	// Enter, if not nil, is called in place of starting the payload's program.
	Enter Enter `toml:"-"`
}

// Wrapper runs slices with one payload, in slots that it numbers. Its methods may be called from several goroutines.
type Wrapper struct {
	cfg       Config
	spec      payloadfile.Spec
	payload   payload.Payload
	simulated payload.Payload
	programs  *programs
	logs      payloadlog.Folder
	inputs    inputs
	outputs   outputs
	slots     slots
	trace     trace
	sweep     sync.Once
}

// New makes a wrapper for a payload; simulated takes the slices whose file_type asks for it.
func New(spec payloadfile.Spec, p, simulated payload.Payload, cfg Config) (*Wrapper, error) {
	config.Defaults(&cfg)
	if cfg.WorkDir == "" {
		cfg.WorkDir = os.TempDir()
	}
	if cfg.LogDir == "" {
		cfg.LogDir = payloadlog.DefaultDir(cfg.WorkDir)
	}
	if cfg.LogMB < 1 || cfg.LogsMB < cfg.LogMB {
		return nil, exitcode.New(exitcode.Usage, "--log-mb %d, --logs-mb %d: a log has at least 1 MB, and the folder room for one", cfg.LogMB, cfg.LogsMB)
	}
	shown := cfg.DataDir != "" && !IsURL(cfg.DataDir) // in a container: the current folder is not for every payload to see
	// All are made absolute here: a payload's current folder is the slice's.
	for _, dir := range []*string{&cfg.WorkDir, &cfg.DataDir, &cfg.LogDir} {
		if *dir == payloadlog.None && dir == &cfg.LogDir || dir == &cfg.DataDir && IsURL(cfg.DataDir) {
			continue
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return nil, exitcode.Wrap(exitcode.BadConfig, err)
		}
		*dir = abs
	}
	outputs, err := newOutputs(cfg, spec)
	if err != nil {
		return nil, err
	}
	programs, err := newPrograms(spec, cfg, shown)
	if err != nil {
		return nil, err
	}
	logs := payloadlog.Folder{Dir: cfg.LogDir, SizeBytes: int64(cfg.LogMB) << 20, TotalBytes: int64(cfg.LogsMB) << 20, All: cfg.KeepLogs}
	inputs, err := newInputs(cfg, spec)
	if err != nil {
		return nil, err
	}
	programs.always = append(programs.always, inputs.binds...)
	return &Wrapper{
		cfg: cfg, spec: spec, payload: p, simulated: simulated, programs: programs, logs: logs, inputs: inputs, outputs: outputs,
	}, nil
}

// Containment is what holds the payload's processes together on this node, and why it is nothing stronger; both are empty for a
// payload that has none.
func (w *Wrapper) Containment(ctx context.Context) (c keeper.Containment, why string, err error) {
	if w.spec.InProcess() {
		return "", "", nil
	}
	return w.programs.keepers.Containment(ctx)
}

// Outcome is what became of one slice here.
type Outcome struct {
	// Err is nil for success; exitcode.From tells the rest.
	Err            error
	Result         payload.Result
	Payload        message.PayloadIdentity
	Started, Ended time.Time
	// Cores is how many the payload says that it needs.
	Cores int
	// Handed and Returned are when the payload got the slice and gave it back, its result checked; zero for a slice that was never
	// handed to one.
	Handed, Returned time.Time
	// Input is how its file was made ready.
	Input Input
	// Samples are those of the payload's processes in between, with Config.Trace.
	Samples []keeper.Sample
	// Delivery is where the outputs are kept.
	Delivery Delivery
	// Dir is the slice's folder when it was kept.
	Dir string
	// Logs are the files with what the payload printed, where they are kept; LogErr why they are not complete.
	Logs   []string
	LogErr error
}

// Failure is the outcome's error as it stands in a result, for many to read: without what looks like a secret, whatever a payload has
// said last. nil for success.
func (o Outcome) Failure() *message.Failure {
	if o.Err == nil {
		return nil
	}
	f := exitcode.From(o.Err)
	return &message.Failure{Code: f.Code, Name: f.Name, Class: string(f.Class), Retryable: f.Retryable, Message: logging.Redact(o.Err.Error())}
}

// Usage is what the payload took as it stands in a result; nil when it started no process.
func (o Outcome) Usage() *message.Usage {
	u := o.Result.Usage
	if u.Wall == 0 {
		return nil
	}
	return &message.Usage{
		Cores: o.Cores, WallSeconds: u.Wall.Seconds(), UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
		PeakBytes: u.PeakBytes, ReadBytes: u.ReadBytes, WrittenBytes: u.WrittenBytes, Processes: u.Processes,
	}
}

// Identity is the payload that the wrapper runs.
func (w *Wrapper) Identity() message.PayloadIdentity {
	return message.PayloadIdentity{Name: w.spec.Name, Version: w.spec.Version}
}

// Run works on one slice. It returns when nothing of the payload is left.
func (w *Wrapper) Run(ctx context.Context, s message.Slice) Outcome {
	o := Outcome{Started: time.Now(), Payload: w.Identity(), Cores: max(1, w.spec.Cores)}
	o.Result, o.Dir, o.Err = w.run(ctx, s, &o)
	o.Ended = time.Now()
	return o
}

func (w *Wrapper) run(ctx context.Context, s message.Slice, o *Outcome) (res payload.Result, kept string, err error) {
	if err := s.Validate(); err != nil {
		return res, "", exitcode.New(exitcode.DataInvalid, "slice %s: %w", s.Content.Identity(), err)
	}
	if s.Content.Simulated() {
		o.Payload = message.PayloadIdentity{Name: "synthetic", Version: "1"}
		res, err = w.simulated.Run(ctx, payload.Request{Slice: s})
		return res, "", err
	}
	if w.spec.InProcess() {
		// A timer needs no folder, and making one would take longer than the slice.
		res, err = w.payload.Run(ctx, payload.Request{Slice: s})
		return res, "", err
	}
	keep, err := w.outputs.of(s)
	if err != nil {
		return res, "", err
	}
	n := w.slots.take()
	defer w.slots.give(n)
	slot, err := w.slot(n)
	if err != nil {
		return res, "", err
	}
	dir, remove, err := w.sliceFolder(slot)
	if err != nil {
		return res, "", err
	}
	defer remove()
	if w.cfg.Keep {
		kept = dir
	}
	input, err := w.inputs.ready(ctx, s, &o.Input)
	if err != nil {
		return res, kept, err
	}
	defer func() { input.release(err) }()
	if w.spec.Stays() && !IsURL(input.name) {
		if err := w.programs.sees(input.name); err != nil {
			return res, kept, err
		}
	}
	log := w.logs.Open(n, s)
	run := func(ctx context.Context, c proc.Command, l keeper.Limits) (keeper.Result, error) {
		return w.programs.run(ctx, log.Tee(c), w.traced(n, l), input.binds()...)
	}
	w.trace.begin(n)
	o.Handed = time.Now()
	res, err = w.payload.Run(ctx, payload.Request{Slice: s, Input: input.name, Dir: dir, Slot: slot, Run: run, Log: logTo(log)})
	o.Returned, o.Samples = time.Now(), w.trace.end(n)
	if err == nil {
		if o.Delivery, err = w.outputs.deliver(ctx, keep, s, dir, res.Outputs); err != nil {
			res = payload.Result{Usage: res.Usage}
		}
	}
	o.Logs, o.LogErr = log.Close(err != nil)
	return res, kept, err
}

// traced has what runs in a slot followed, where that is wanted.
func (w *Wrapper) traced(slot int, l keeper.Limits) keeper.Limits {
	if w.cfg.Trace {
		return w.trace.follow(slot, l)
	}
	return l
}

// Close ends the payload, and what kept its processes.
func (w *Wrapper) Close(ctx context.Context) error {
	defer w.slots.close()
	defer w.programs.close()
	defer w.inputs.remote.Close()
	defer w.outputs.client.Close()
	if err := w.payload.Close(ctx); err != nil {
		return fmt.Errorf("closing payload %s: %w", w.spec.Name, err)
	}
	return nil
}
