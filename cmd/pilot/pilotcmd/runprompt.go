package pilotcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/heartbeat"
	"tfpilot/internal/logging"
	"tfpilot/internal/metainfo"
	"tfpilot/internal/program"
	"tfpilot/internal/version"
	"tfpilot/pilot"
	"tfpilot/pilot/prompt"
	"tfpilot/pilot/relay"
	"tfpilot/pilot/rest"
)

// The time from SIGTERM to the end. The PanDA pilot kills 3 s after the first SIGTERM; 2.5 s are promised.
const (
	promptDrain = 500 * time.Millisecond // a payload may finish
	promptGrace = 750 * time.Millisecond // a payload may end itself
	// promptLimit is when what has not ended yet, on a link that hangs, is left where it is.
	promptLimit = 2200 * time.Millisecond
	// promptClose is for payloads that stay between slices, after that; the job's report is still to be written then.
	promptClose = 200 * time.Millisecond
)

// isRunPrompt tells by the name of the program, a link or a copy, whether it stands in for the production worker.
func isRunPrompt(argv0 string) bool {
	name := filepath.Base(argv0)
	return name == "run_prompt" || name == "run_prompt_wrapper"
}

// RunPrompt is the production worker: its command line and environment, its end. It returns the exit status.
func RunPrompt(ctx context.Context, argv []string, stdout, stderr io.Writer) int {
	args, err := parsePrompt(argv[1:])
	switch {
	case err == nil && args.help:
		_, _ = io.WriteString(stdout, promptHelp)
		return 0
	case err == nil && args.version:
		_, _ = fmt.Fprintln(stdout, version.String())
		return 0
	}
	started := time.Now()
	var w document.WorkerReport
	if err == nil {
		w, err = runPrompt(ctx, args, argv[0], stdout)
	}
	code := promptStatus(err)
	if code != 0 {
		_, _ = fmt.Fprintln(stderr, program.Line("ERROR ", err))
	}
	if err := leaveFolder(argv[0], prompt.NewJobReport(w, started, err, code)); err != nil {
		_, _ = fmt.Fprintln(stderr, program.Line("WARNING ", err)) // the slices are done all the same
	}
	return code
}

// promptStatus is the exit status: no slice for the idle time is a normal end of a production worker.
func promptStatus(err error) int {
	switch f := exitcode.From(err); f {
	case exitcode.IdleTimeout, exitcode.NoFirstSlice:
		return 0
	default:
		return f.Code
	}
}

// leaveFolder leaves the current folder as a job should: with its report, without secrets, without this program. Outside of a
// PanDA job nothing is removed: the folder is then somebody's.
func leaveFolder(argv0 string, report prompt.JobReport) error {
	err := report.Write(".")
	if os.Getenv("PANDAID") == "" {
		return err
	}
	files := prompt.Secrets(os.Getenv)
	if strings.Contains(argv0, "/") {
		files = append(files, argv0)
	}
	if self, err := os.Executable(); err == nil {
		files = append(files, self)
	}
	return errors.Join(err, prompt.Sweep(".", files...))
}

// runPrompt runs a pilot as the production environment says, and returns its last report.
func runPrompt(ctx context.Context, args promptArgs, argv0 string, stdout io.Writer) (document.WorkerReport, error) {
	var cfg runConfig
	bind := config.Bind(&cfg)
	if err := bind.LoadEnv(); err != nil {
		return document.WorkerReport{}, err
	}
	args.apply(&cfg, bind)
	w := document.WorkerReport{RunID: cfg.Pilot.Run, Namespace: cfg.Pilot.Namespace, Slots: int(cfg.Pilot.Slots)} // until there is a pilot
	log, closeLog, err := promptLog(args, stdout)
	if err != nil {
		return w, err
	}
	defer closeLog()
	log.InfoContext(ctx, "pilot in the place of the production worker", slog.String("version", version.String()),
		slog.String(logging.KeyRun, cfg.Pilot.Run), slog.String("namespace", cfg.Pilot.Namespace), slog.Int("slots", int(cfg.Pilot.Slots)))
	tests, end, err := beginTests(ctx, cfg)
	if err != nil {
		return w, err
	}
	defer end()
	client, err := newClient(&cfg)
	if err != nil {
		return w, err
	}
	slot, err := newSlot(&cfg)
	if err != nil {
		return w, err
	}
	work, err := newWrapper(&cfg, slot, log)
	if err != nil {
		return w, err
	}
	defer closePayload(ctx, work, promptClose)
	var next heartbeat.Reporter
	if client != nil {
		next = client
	}
	brokers, err := promptBrokers(ctx, cfg, client, argv0, log)
	if err != nil {
		return w, err
	}
	if err := contain(ctx, work, slot, log); err != nil {
		return w, err
	}
	reporter := prompt.NewReporter(next, log)
	err = within(ctx, promptLimit, func() error {
		_, err := hold(ctx, cfg, brokers, pilot.Parts{Runner: work, Node: tests, Reporter: reporter, Logger: log, Place: slot})
		return err
	})
	if err != nil {
		log.InfoContext(ctx, "pilot left", logging.Err(err))
	}
	if last := reporter.Last(); last.PilotID != "" {
		w = last
	}
	return w, err
}

// promptLog logs to stdout, as the production worker does, and to the file that it would log to.
func promptLog(args promptArgs, stdout io.Writer) (log *slog.Logger, closeLog func(), err error) {
	out, closeLog := prompt.Log(stdout), func() {}
	if path := os.Getenv("PROMPT_LOG_FILE"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, exitcode.New(exitcode.Usage, "PROMPT_LOG_FILE: %w", err)
		}
		out, closeLog = io.MultiWriter(out, f), func() { _ = f.Close() }
	}
	level := cmp.Or(os.Getenv("TFPILOT_LOG_LEVEL"), pythonLevel(os.Getenv("PROMPT_LOG_LEVEL")), "info")
	if args.verbose {
		level = "debug"
	}
	log, err = logging.New(out, "pilot", level, os.Getenv("TFPILOT_LOG_FORMAT"))
	return log, closeLog, exitcode.Wrap(exitcode.Usage, err)
}

// pythonLevel translates the names that Python's logging has and slog has not.
func pythonLevel(name string) string {
	switch strings.ToUpper(name) {
	case "WARNING":
		return "warn"
	case "CRITICAL", "FATAL":
		return "error"
	default:
		return name
	}
}

// promptBrokers is the first broker configuration that there is: a file that was named, idds, the relay, a default file.
func promptBrokers(ctx context.Context, cfg runConfig, idds *rest.Client, argv0 string, log *slog.Logger) (metainfo.PromptBroker, error) {
	switch {
	case cfg.BrokerConfig != "":
		return readBrokerConfig(cfg.BrokerConfig)
	case os.Getenv(prompt.ConfEnv) != "":
		brokers, err := prompt.Read(os.Getenv(prompt.ConfEnv))
		if err != nil {
			err = fmt.Errorf("%s: %w", prompt.ConfEnv, err)
		}
		return brokers, err
	case idds != nil:
		return idds.PromptBroker(ctx)
	}
	server, named, err := relay.FromEnvironment(os.Getenv)
	if exitcode.From(err) == exitcode.NoCredential && !errors.Is(err, relay.ErrNone) {
		return metainfo.PromptBroker{}, err // a file in its place would hide it
	}
	var brokers metainfo.PromptBroker
	if err == nil {
		brokers, err = askRelay(ctx, server, named, log)
	}
	if err == nil || ctx.Err() != nil {
		return brokers, err
	}
	if self, serr := os.Executable(); serr == nil {
		argv0 = self
	}
	path, tried, ok := prompt.Default(argv0)
	if !ok {
		return brokers, fmt.Errorf("%w; and there is no %s", err, strings.Join(tried, ", "))
	}
	log.WarnContext(ctx, "no broker configuration from the PanDA relay; taking that of a file", slog.String("file", path), logging.Err(err))
	return prompt.Read(path)
}

// askRelay asks the relay, if there is one that somebody named.
func askRelay(ctx context.Context, cfg relay.Config, named bool, log *slog.Logger) (metainfo.PromptBroker, error) {
	if !named {
		return metainfo.PromptBroker{}, exitcode.WithNext(exitcode.New(exitcode.BadConfig, "no broker configuration: neither %s nor PANDA_URL_SSL nor PANDA_SERVER_URL is set", prompt.ConfEnv),
			"docs/compatibility.md says which one names what")
	}
	cfg.Logger = log
	client, err := relay.New(cfg)
	if err != nil {
		return metainfo.PromptBroker{}, err
	}
	log.InfoContext(ctx, "asking the PanDA relay for the broker configuration", slog.String("url", cfg.URL), slog.String("with", cfg.Credential.Name()))
	return client.PromptBroker(ctx)
}
