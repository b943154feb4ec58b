package harvestercmd

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/harvester/lockfile"
	"tfpilot/harvester/sqlite"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

func drainCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "drain", Usage: "submit no more pilots and cancel those that wait; what runs is let finish",
		Description: "A running harvester is told through the store; where none runs, waiting pilots are cancelled here and now. It stays\n" +
			"drained, also over restarts, until --undo.\n\n" +
			"Examples:\n" +
			"  harvester drain --config site.toml\n" +
			"  harvester drain --config site.toml --undo",
		Flags:  append(append(opts.Flags(), &cli.BoolFlag{Name: "undo", Usage: "submit again as pilots are wanted"}), program.LogFlags()...),
		Before: opts.Before,
		Action: func(c *cli.Context) error {
			return drain(c, cfg)
		},
	}
}

func drain(c *cli.Context, cfg site.Config) error {
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	var order any
	if !c.Bool("undo") {
		by := "somebody"
		if u, err := user.Current(); err == nil {
			by = u.Username
		}
		host, _ := os.Hostname() // only for people to read
		order = harvester.Drain{Since: time.Now().UTC(), By: strings.TrimSuffix(by+"@"+host, "@")}
	}
	if err := withStore(c, cfg, func(store *sqlite.Store) error {
		return store.SetDocument(c.Context, harvester.DrainDocument, order)
	}); err != nil {
		return err
	}
	owner, held, err := lockfile.Holder(cfg.State)
	switch {
	case err != nil:
		return err
	case held:
		_, err = fmt.Fprintf(c.App.Writer, "told the harvester (%s); it sees it at its next look, within %s\n", owner, cfg.Interval)
		return err
	case order == nil:
		_, err = fmt.Fprintln(c.App.Writer, "no longer drained; `harvester run` submits again")
		return err
	case cfg.System == "local":
		_, err = fmt.Fprintln(c.App.Writer, "drained; no harvester runs, so no pilot waits")
		return err
	}
	s, err := open(c.Context, cfg, log, harvester.Fixed{})
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.Reconcile(s.ctx); err != nil {
		return err
	}
	var r harvester.Report
	if _, err := s.store.Document(s.ctx, harvester.ReportDocument, &r); err != nil {
		return err
	}
	for _, t := range r.Trouble {
		return exitcode.New(exitcode.NoBatch, "it is drained, but pilots that wait may not be cancelled: %s: %s", t.Whom, t.Text)
	}
	_, err = fmt.Fprintln(c.App.Writer, "drained; no harvester runs, so what waited was cancelled here")
	return err
}
