package wrappercmd

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadlog"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
	"tfpilot/wrapper/report"
)

// replayConfig is everything that `wrapper replay` can be told, but the slice. The names are those of idds and pilot.
type replayConfig struct {
	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" help:"address of idds"`
	TokenFile string `toml:"token_file" help:"file with a token of role viewer or operator"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
	Namespace string `toml:"namespace" help:"namespace of the slice, when its identity is not unique"`
	Run       string `toml:"run" help:"run of the slice, when its identity is not unique"`

	Payload runConfig `toml:",inline"`
}

// shownLogBytes is how much of the end of a log is shown.
const shownLogBytes = 2000

func replayCommand() *cli.Command {
	var cfg replayConfig
	var save string
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: "replay", Usage: "fetch a slice from idds, with what became of it, and run it here", ArgsUsage: "SLICE",
		Description: "SLICE is the identity of a slice, as `idds slices --state failed` lists it. Its attempts are shown with their failures, and\n" +
			"the ends of its logs that are in --log-dir; then the payload is run on it here, as `wrapper run` does. The files of the slice\n" +
			"have to be here too: --data-dir says where.\n\n" +
			"Examples:\n" +
			"  wrapper replay --idds https://idds.example.org:8443 --token-file viewer.token --payload mine.toml 2837c040-d0c9-4236-a645-4d838711c5e4\n" +
			"  wrapper replay --payload mine.toml --save slice.json 2837c040-d0c9-4236-a645-4d838711c5e4    for wrapper run --watch\n\n" +
			"Exit status: that of `wrapper run`; 41 when idds cannot be reached, 50 when it refuses the token, 64 when it knows no such slice.",
		Flags: slices.Concat(bind.Flags(), []cli.Flag{
			&cli.StringFlag{Name: "save", Usage: "write the slice message to this `FILE`, and run nothing", Destination: &save},
			program.OutputFlag(),
		}),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "wrapper replay takes the identity of one slice: `idds slices --state failed` lists them")
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			return replay(c, cfg, save)
		},
	}
}

// replay fetches, shows, and runs or saves.
func replay(c *cli.Context, cfg replayConfig, save string) error {
	doc, err := fetch(c, cfg)
	if err != nil {
		return err
	}
	if len(doc.Message) == 0 {
		return exitcode.New(exitcode.Usage, "idds has no message of slice %s: only results of it have come", program.Printable(doc.Identity))
	}
	s, err := decodeSlice(doc.Message)
	if err != nil {
		return exitcode.New(exitcode.DataInvalid, "slice %s: %w", program.Printable(doc.Identity), err)
	}
	if c.String("output") == "table" {
		if err := showPast(c, cfg, doc, s); err != nil {
			return err
		}
		does := "run here:\n"
		if save != "" {
			does = "saved, for `wrapper run`:"
		}
		fmt.Fprintf(c.App.Writer, "\n%s\n", does)
	}
	if save == "" {
		return runOne(c, cfg.Payload, s)
	}
	if err := renameio.WriteFile(save, append(doc.Message, '\n'), 0o644); err != nil {
		return exitcode.New(exitcode.SiteNoSpace, "saving the slice: %w", err)
	}
	return program.Print(c, doc, program.Table{Rows: [][]string{{save}}})
}

// fetch asks idds for the slice.
func fetch(c *cli.Context, cfg replayConfig) (doc document.SliceHistory, err error) {
	if err := rest.CheckBase("--idds", cfg.IDDS); err != nil {
		return doc, err
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return doc, rest.TokenError(err, "viewer")
	}
	client := rest.New(rest.Config{Base: cfg.IDDS, Token: token, Role: "viewer", Retries: 2})
	return client.FindSlice(c.Context, cfg.Namespace, cfg.Run, c.Args().First())
}

// showPast shows what became of the slice so far, with the logs that are on this machine.
func showPast(c *cli.Context, cfg replayConfig, doc document.SliceHistory, s message.Slice) error {
	out := c.App.Writer
	fmt.Fprintf(out, "slice %s of run %s is %s\n\n", program.Printable(doc.Identity), program.Printable(doc.RunID), doc.State)
	t := program.Table{Header: []string{"ATTEMPT", "STATE", "PILOT", "HOST", "SECONDS", "FAILURE"}}
	for _, a := range doc.Attempts {
		why := a.Reason
		if a.Failure != nil {
			why = a.Failure.Name + ": " + a.Failure.Message
		}
		t.Rows = append(t.Rows, []string{
			strconv.Itoa(a.Attempt), a.State, program.Printable(a.PilotID), program.Printable(a.Hostname),
			strconv.FormatFloat(a.ProcessingTime, 'f', 3, 64), program.Printable(why),
		})
	}
	if err := t.Write(out); err != nil {
		return err
	}
	dir := cmp.Or(cfg.Payload.Work.LogDir, payloadlog.DefaultDir(cfg.Payload.Work.WorkDir))
	logs, err := payloadlog.List(dir)
	if err != nil {
		return err
	}
	logs = slices.DeleteFunc(logs, func(l payloadlog.Log) bool { return !l.IsOf(s) })
	for _, l := range logs {
		if err := showEnd(c, l); err != nil {
			return err
		}
	}
	if len(logs) == 0 {
		fmt.Fprintf(out, "\nno logs of it in %s: they are where its pilots ran; --log-dir names another folder\n", dir)
	}
	return nil
}

// showEnd shows the end of a log.
func showEnd(c *cli.Context, l payloadlog.Log) error {
	var b bytes.Buffer
	if err := l.CopyTo(&b); err != nil {
		return err
	}
	text := b.String()
	if len(text) > shownLogBytes {
		text = text[len(text)-shownLogBytes:]
		text = "... `wrapper logs " + strings.TrimSuffix(filepath.Base(l.Path), filepath.Ext(l.Path)) + "` shows all\n" + text[strings.IndexByte(text, '\n')+1:]
	}
	report.Section(c.App.Writer, l.Path, text)
	return nil
}
