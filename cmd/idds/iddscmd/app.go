// Package iddscmd is the command line of idds.
package iddscmd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// App is the whole command line.
func App() *cli.App {
	return &cli.App{
		Name:  "idds",
		Usage: "follow every slice to its final state, and say how many workers are wanted",
		Description: "Examples:\n" +
			"  idds serve --state idds-state --broker-addr 127.0.0.1:61613\n" +
			"  idds runs --idds http://127.0.0.1:8443 --token-file viewer.token\n" +
			"  idds run check 100001      does the accounting add up, and where is every outstanding slice",
		Commands: []*cli.Command{
			serveCommand(), tokenCommand(), runsCommand(), slicesCommand(), workersCommand(),
			{Name: "run", Usage: "one run", Subcommands: []*cli.Command{checkCommand()}},
		},
	}
}

// askConfig is how the asking commands reach the service.
type askConfig struct {
	IDDS      string `toml:"idds" default:"http://127.0.0.1:8443" help:"address of the service"`
	TokenFile string `toml:"token_file" help:"file with a token of role viewer or operator"`
	Token     string `toml:"token" secret:"true" help:"the token itself"`
}

// noArgs says of a command that it takes none; the library would make "[arguments...]" of an empty text.
const noArgs = " "

// ask makes a command that asks the service and prints.
func ask(name, usage, args string, flags []cli.Flag, action func(c *cli.Context, get getter) error) *cli.Command {
	var cfg askConfig
	bind := config.Bind(&cfg)
	return &cli.Command{
		Name: name, Usage: usage, ArgsUsage: args, Flags: append(append(bind.Flags(), program.OutputFlag()), flags...),
		Action: func(c *cli.Context) error {
			if args == noArgs {
				if err := program.NoArgs(c); err != nil {
					return err
				}
			}
			if err := bind.Load(c); err != nil {
				return err
			}
			token, err := program.Token(cfg.Token, cfg.TokenFile)
			if err != nil {
				return err
			}
			client := rest.New(rest.Config{Base: cfg.IDDS, Token: token, Retries: 2})
			return action(c, func(path string, into any) error { return client.Read(c.Context, path, into) })
		},
	}
}

type getter func(path string, into any) error

func runsCommand() *cli.Command {
	return ask("runs", "list the runs with their accounting", noArgs, nil, func(c *cli.Context, get getter) error {
		var page message.Page[message.RunDocument]
		if err := get("/v1/runs", &page); err != nil {
			return err
		}
		t := program.Table{Header: []string{"RUN", "STATE", "PUBLISHED", "DONE", "FAILED", "OUTSTANDING", "RETRIED", "ABSORBED", "LATENCY p95"}}
		for _, r := range page.Items {
			s := r.Slices
			t.Rows = append(t.Rows, []string{
				r.RunID, string(r.State), strconv.Itoa(s.Published), strconv.Itoa(s.Done), strconv.Itoa(s.Failed), strconv.Itoa(s.Outstanding),
				strconv.Itoa(s.Retried), strconv.Itoa(s.Absorbed), fmt.Sprintf("%.2f s", r.Latency.SliceResult.P95),
			})
		}
		return program.Print(c, page, t)
	})
}

func slicesCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "run", Usage: "only of this run"},
		&cli.StringFlag{Name: "state", Usage: "outstanding, waiting, done or failed"},
		&cli.IntFlag{Name: "limit", Value: 100, Usage: "at most this many; 0 for all"},
	}
	return ask("slices", "list slices", noArgs, flags, func(c *cli.Context, get getter) error {
		states := []string{"", "outstanding", "waiting", "done", "failed"}
		if !slices.Contains(states, c.String("state")) {
			return exitcode.New(exitcode.Usage, "--state %q is none of%s", c.String("state"), strings.Join(states, " "))
		}
		page, err := readSlices(get, url.Values{"run": {c.String("run")}, "state": {c.String("state")}}, c.Int("limit"))
		if err != nil {
			return err
		}
		return program.Print(c, page, sliceTable(page.Items))
	})
}

// pageSize is the most that the service hands out at once.
const pageSize = 1000

// readSlices asks for page after page until there are enough; next tells where they would go on.
func readSlices(get getter, q url.Values, limit int) (message.Page[message.SliceRecord], error) {
	out := message.Page[message.SliceRecord]{Items: []message.SliceRecord{}}
	for {
		want := pageSize
		if limit > 0 {
			want = min(want, limit-len(out.Items))
		}
		q.Set("limit", strconv.Itoa(want))
		var page message.Page[message.SliceRecord]
		if err := get("/v1/slices?"+q.Encode(), &page); err != nil {
			return out, err
		}
		out.Items, out.Next = append(out.Items, page.Items...), page.Next
		if page.Next == "" || len(out.Items) == limit {
			return out, nil
		}
		q.Set("after", page.Next)
	}
}

func sliceTable(list []message.SliceRecord) program.Table {
	t := program.Table{Header: []string{"SLICE", "RUN", "FRAMES", "STATE", "ATTEMPT", "WHERE OR WHY"}}
	for _, s := range list {
		why := s.Where
		if s.Failure != nil {
			why = s.Failure.Name + ": " + s.Failure.Message
		}
		t.Rows = append(t.Rows, []string{s.Identity, s.RunID, fmt.Sprintf("%d-%d", s.Start, s.End), s.State, strconv.Itoa(s.Attempt), why})
	}
	return t
}

func workersCommand() *cli.Command {
	return ask("workers", "list the pilots", noArgs, nil, func(c *cli.Context, get getter) error {
		var page message.Page[message.WorkerDocument]
		if err := get("/v1/workers", &page); err != nil {
			return err
		}
		t := program.Table{Header: []string{"PILOT", "RUN", "HOST", "PHASE", "ALIVE", "SLOTS", "IN HAND", "DONE", "FAILED", "LAST SEEN", "END"}}
		for _, w := range page.Items {
			end := ""
			if w.Exit != nil {
				end = w.Exit.Name + ": " + w.Exit.Cause
			}
			t.Rows = append(t.Rows, []string{
				w.PilotID, w.RunID, w.Hostname, string(w.Phase), strconv.FormatBool(w.Alive), strconv.Itoa(w.Slots), strconv.Itoa(len(w.InHand)),
				strconv.Itoa(w.Totals.Done), strconv.Itoa(w.Totals.Failed), w.LastSeen.Format(time.TimeOnly), end,
			})
		}
		return program.Print(c, page, t)
	})
}

func checkCommand() *cli.Command {
	flags := []cli.Flag{&cli.DurationFlag{Name: "wait", Usage: "wait up to this long until the run is closed"}}
	return ask("check", "whether a run's accounting adds up, and where every outstanding slice is", "RUN", flags,
		func(c *cli.Context, get getter) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "run check needs one run number")
			}
			check, err := awaitClosed(c, get)
			if err != nil {
				return err
			}
			if c.String("output") == "table" {
				s := check.Slices
				fmt.Fprintf(c.App.Writer, "run %s is %s: published %d = done %d + failed %d + outstanding %d\n",
					check.RunID, check.State, s.Published, s.Done, s.Failed, s.Outstanding)
				for _, p := range check.Problems {
					fmt.Fprintln(c.App.Writer, "problem: "+p)
				}
			}
			t := sliceTable(check.Outstanding)
			if len(check.Outstanding) == 0 {
				t = program.Table{}
			}
			if err := program.Print(c, check, t); err != nil {
				return err
			}
			if !check.OK {
				return program.Quiet(exitcode.New(exitcode.CheckFailed, "the accounting does not add up"))
			}
			return nil
		})
}

// awaitClosed asks until the run is closed or the time of --wait is over, and returns the last answer.
func awaitClosed(c *cli.Context, get getter) (check message.RunCheck, err error) {
	deadline := time.Now().Add(c.Duration("wait"))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := get("/v1/runs/"+url.PathEscape(c.Args().First())+"/check", &check)
		refused, ok := errors.AsType[*rest.StatusError](err)
		unknown := ok && refused.Code == http.StatusNotFound // its first slice may be on its way
		if (err != nil && !unknown) || check.State == message.RunClosed || !time.Now().Before(deadline) {
			return check, err
		}
		select {
		case <-tick.C:
		case <-c.Done():
			return check, exitcode.Wrap(exitcode.Interrupted, context.Cause(c.Context))
		}
	}
}
