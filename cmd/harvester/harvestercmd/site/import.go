package site

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/google/renameio/v2"
	"github.com/pelletier/go-toml/v2"
	"github.com/urfave/cli/v2"

	"tfpilot/harvester/panda"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
)

// ImportCommand makes a configuration of what the production system says of a queue.
func ImportCommand() *cli.Command {
	return &cli.Command{
		Name: "import", Usage: "turn a queue of panda_queues.json into a site's configuration", ArgsUsage: "QUEUE",
		Description: "Each key of the queue that is not taken over stands in it as a comment.\n\n" +
			"Examples:\n" +
			"  harvester import BNL_OSG_PanDA_1 --from panda_queues.json\n" +
			"  harvester import NERSC_Perlmutter_epic --from panda_queues.json --system slurm --out perlmutter.toml",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Value: "panda_queues.json", Usage: "the `FILE` of queues"},
			&cli.StringFlag{Name: "system", Usage: "the batch system, where the queue does not tell"},
			&cli.StringFlag{Name: "out", Usage: "write this `FILE`, which must not exist yet, instead of printing it"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "import takes the name of one queue")
			}
			q, err := panda.Read(c.String("from"), c.Args().First())
			if err != nil {
				return err
			}
			text, err := siteOf(q, c.String("system"), filepath.Base(c.String("from")))
			if err != nil {
				return err
			}
			if len(q.Unknown) > 0 {
				fmt.Fprintf(c.App.ErrWriter, "not known here, and therefore only comments: %s\n", strings.Join(q.Unknown, ", "))
			}
			out := c.String("out")
			if out == "" {
				_, err = c.App.Writer.Write(text)
				return err
			}
			if _, err := os.Stat(out); err == nil {
				return exitcode.New(exitcode.Usage, "%s is there already", out)
			}
			return exitcode.Wrap(exitcode.StoreFailed, renameio.WriteFile(out, text, 0o644))
		},
	}
}

// siteOf is the configuration of a queue, with a comment for what is not in it.
func siteOf(q panda.Queue, system, from string) ([]byte, error) {
	if _, ok := systems[system]; !ok && system != "" {
		return nil, exitcode.New(exitcode.Usage, "--system %q is none of %s", system, strings.Join(systemNames(), ", "))
	}
	system = cmp.Or(system, q.System)
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var errs []error
	value := func(key string, v any) {
		text, err := toml.Marshal(map[string]any{key: v})
		errs = append(errs, err)
		b.Write(text)
	}
	line("# Queue %s of %s. Fill in where idds is, and the tokens.", comment(q.Name), comment(from))
	value("name", q.Name)
	if system == "" {
		line("# The queue does not say which batch system it has: system = \"slurm\" or \"htcondor\".")
	} else {
		value("system", system)
	}
	line("# idds = \"https://idds.example.org:8443\"\n# token_file = \"harvester.token\"")
	line("\n[resources]")
	value("cores", q.Resources.Cores)
	value("memory_mb", q.Resources.MemoryMB)
	if q.Resources.DiskMB > 0 {
		value("disk_mb", q.Resources.DiskMB)
	}
	value("wall_time", q.Resources.WallTime.String())
	line("\n[pilot]\n# token_file = \"pilot.token\"")
	value("slots", q.Resources.Cores)
	if len(q.Env) > 0 {
		value("env", q.Env)
	}
	switch {
	case system == "htcondor" && q.CE != "":
		host, _, _ := strings.Cut(q.CE, ":")
		line("\n[htcondor]")
		value("grid_resource", fmt.Sprintf("condor %s %s", host, q.CE))
	case system == "slurm" && q.Partition != "":
		line("\n[slurm]")
		value("partition", q.Partition)
	}
	if len(q.Left) > 0 {
		line("\n# Not taken over:")
	}
	for _, k := range q.Left {
		why := ""
		if k.Why != "" {
			why = "   (" + k.Why + ")"
		}
		line("#   %s = %s%s", comment(k.Name), comment(logging.Redact(k.Value)), why)
	}
	for _, err := range errs {
		if err != nil {
			return nil, exitcode.Wrap(exitcode.Internal, err)
		}
	}
	return b.Bytes(), nil
}

// comment is a text that ends no comment: whoever wrote the queue is not to write the configuration.
func comment(text string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)), " ")
}
