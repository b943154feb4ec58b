package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/version"
)

// Main runs a command line until it ends, a signal comes or the lifeline breaks, and returns the exit status.
// The first SIGINT or SIGTERM cancels the context; further ones change nothing, because under PanDA the second comes
// within a second and must not mean "die at once".
func Main(app *cli.App) int {
	return UnderSignals(func(ctx context.Context) int { return Run(ctx, app, os.Args) })
}

// UnderSignals is Main for a command line of another kind.
func UnderSignals(run func(ctx context.Context) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := withLifeline(ctx)
	defer cancel(nil)
	return run(ctx)
}

// Run is Main without signals and with the arguments given: what tests call.
func Run(ctx context.Context, app *cli.App, args []string) int {
	prepare(app)
	err := app.RunContext(ctx, flagsFirst(app, args))
	if err != nil && !IsQuiet(err) {
		fmt.Fprintln(app.ErrWriter, Line(app.Name, err))
	}
	if s, ok := errors.AsType[status](err); ok {
		return s.code
	}
	return exitcode.From(err).Code
}

// status is an error of a command that promises an exit status of its own.
type status struct {
	error
	code int
}

func (s status) Unwrap() error { return s.error }

// WithStatus gives err another exit status than its place in the table has, for a command that documents it; nil stays nil.
func WithStatus(err error, code int) error {
	if err == nil {
		return nil
	}
	return status{err, code}
}

// Line is an error as a person should see it: one line with program, what and where, and the next step.
func Line(name string, err error) string {
	text := Plain(logging.Redact(err.Error()))
	next := exitcode.Next(err)
	if next == "" {
		return fmt.Sprintf("%s: %s", name, text)
	}
	return fmt.Sprintf("%s: %s (%s: %s)", name, text, exitcode.From(err).Name, next)
}

// quiet is an error that sets the exit status after everything has been said.
type quiet struct{ error }

func (q quiet) Unwrap() error { return q.error }

// Quiet makes an error whose text is not printed: the command has shown its report already.
func Quiet(err error) error {
	if err == nil {
		return nil
	}
	return quiet{err}
}

// IsQuiet says that an error is one of Quiet.
func IsQuiet(err error) bool {
	_, ok := errors.AsType[quiet](err)
	return ok
}

// prepare gives an app the habits of all tfpilot programs.
func prepare(app *cli.App) {
	if app.Writer == nil {
		app.Writer = os.Stdout
	}
	if app.ErrWriter == nil {
		app.ErrWriter = os.Stderr
	}
	app.HideHelpCommand = true
	app.HideVersion = true
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = UsageError
	app.CommandNotFound = nil
	if app.Action == nil {
		app.Action = unknownCommand
	}
	app.Commands = append(app.Commands, versionCommand())
	for _, c := range app.Commands {
		prepareCommand(c)
	}
	app.CustomAppHelpTemplate = cli.AppHelpTemplate + exitStatusHelp
}

func prepareCommand(c *cli.Command) {
	if c.OnUsageError == nil {
		c.OnUsageError = UsageError
	}
	c.HideHelpCommand = true
	if len(c.Subcommands) > 0 && c.Action == nil {
		c.Action = unknownCommand
	}
	for _, sub := range c.Subcommands {
		prepareCommand(sub)
	}
}

const exitStatusHelp = `
EXIT STATUS:
   0 on success, 64 for a wrong flag, argument or configuration; the others are in docs/exit-codes.md
`

// UsageError is what is wrong with the flags of a command, and which was probably meant.
func UsageError(c *cli.Context, err error, _ bool) error {
	return withFlag(exitcode.New(exitcode.Usage, "%s: %w", c.Command.FullName(), err), c.Command.Flags)
}

// unknownCommand answers a missing or misspelt command: the help for none, an error otherwise.
func unknownCommand(c *cli.Context) error {
	if !c.Args().Present() {
		if len(c.Lineage()) <= 2 { // the app's own context, and the one that the library puts around it
			return cli.ShowAppHelp(c)
		}
		return cli.ShowSubcommandHelp(c)
	}
	commands := c.App.Commands
	if len(c.Command.Subcommands) > 0 {
		commands = c.Command.Subcommands
	}
	typed := c.Args().First()
	return misspelt(exitcode.New(exitcode.Usage, "no command %q", typed), typed, commandNames(commands))
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version of this build",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintln(c.App.Writer, version.String())
			return err
		},
	}
}

// LogFlags are --log-level and --log-format, for commands that log.
func LogFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "log-level", Value: "info", EnvVars: []string{"TFPILOT_LOG_LEVEL"}, Usage: "debug, info, warn or error"},
		&cli.StringFlag{Name: "log-format", Value: "auto", EnvVars: []string{"TFPILOT_LOG_FORMAT"}, Usage: "text, json, or auto: text on a terminal"},
	}
}

// Logger makes the logger of a command that has LogFlags.
func Logger(c *cli.Context, component string) (*slog.Logger, error) {
	l, err := logging.New(errWriter(c), component, c.String("log-level"), c.String("log-format"))
	return l, exitcode.Wrap(exitcode.Usage, err)
}

func errWriter(c *cli.Context) io.Writer { return c.App.ErrWriter }

// Options is the Before of a command that takes options and no arguments: it has read them when the Action runs.
func Options(b *config.Binding) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if err := NoArgs(c); err != nil {
			return err
		}
		return b.Load(c)
	}
}

// NoArguments is the ArgsUsage of a command that takes none; the library would make "[arguments...]" of an empty text.
const NoArguments = " "

// NoArgs refuses arguments of a command that takes none: they are mostly a forgotten flag.
func NoArgs(c *cli.Context) error {
	if c.Args().Present() {
		return exitcode.New(exitcode.Usage, "%s takes no argument %q", c.Command.FullName(), c.Args().First())
	}
	return nil
}
