package harvestercmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
)

func checkCommand() *cli.Command {
	var cfg site.Config
	opts := site.Bind(&cfg)
	return &cli.Command{
		Name: "check", Usage: "can pilots be submitted here, and would they work?",
		Description: "Submits nothing, except with --test-job: one job that prints the pilot's version, through the batch system to its end.\n\n" +
			"Examples:\n" +
			"  harvester check --config site.toml\n" +
			"  harvester check --config site.toml --test-job --test-limit 10m\n\n" +
			"Exit status: 0 when nothing is wrong, else 51.",
		Flags: append(append(opts.Flags(), program.OutputFlag(), &cli.BoolFlag{Name: "test-job", Usage: "submit a job and wait for its end"},
			&cli.DurationFlag{Name: "test-limit", Value: 5 * time.Minute, Usage: "how long that may take"}), program.LogFlags()...),
		Before: opts.Before,
		Action: func(c *cli.Context) error {
			return check(c.Context, c, cfg)
		},
	}
}

func check(ctx context.Context, c *cli.Context, cfg site.Config) error {
	log, err := program.Logger(c, "harvester")
	if err != nil {
		return err
	}
	findings := []harvester.Finding{checkProgram(cfg), checkTokens(ctx, cfg), checkState(cfg.State), checkDemand(ctx, cfg)}
	batch, err := cfg.Batch(log)
	if err != nil {
		findings = append(findings, finding("batch system "+cfg.System, "", err))
	} else {
		findings = append(findings, batch.Check(ctx)...)
	}
	if c.Bool("test-job") && err == nil {
		limited, cancel := context.WithTimeout(ctx, c.Duration("test-limit"))
		findings = append(findings, testJob(limited, cfg, batch))
		cancel()
	}
	t := program.Table{Header: []string{"CHECK", "VERDICT", "FOUND"}}
	var wrong []string
	for i := range findings {
		f := &findings[i]
		f.Detail = logging.Redact(f.Detail)
		verdict := "ok"
		if !f.OK {
			verdict = "problem"
			wrong = append(wrong, f.What)
		}
		t.Rows = append(t.Rows, []string{f.What, verdict, strings.Join(strings.Fields(f.Detail), " ")})
		if !f.OK && f.Next != "" {
			t.Rows = append(t.Rows, []string{"", "", "  do: " + f.Next})
		}
	}
	if err := program.Print(c, findings, t); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return program.Quiet(exitcode.New(exitcode.BadConfig, "not all is well: %s", strings.Join(wrong, ", ")))
	}
	return nil
}

// finding is what was found, or the error with its next step.
func finding(what, detail string, err error) harvester.Finding {
	if err != nil {
		return harvester.Finding{What: what, Detail: err.Error(), Next: exitcode.Next(err)}
	}
	return harvester.Finding{What: what, OK: true, Detail: detail}
}

func checkProgram(cfg site.Config) harvester.Finding {
	path, err := program.Beside(cfg.Pilot.Path, "pilot")
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
			err = fmt.Errorf("%s is not a program", path)
		}
		if err != nil {
			err = exitcode.WithNext(err, "put the pilot beside the harvester, or name it by pilot.path")
		}
	}
	if cfg.Pilot.Ship {
		path += ", taken along with each job"
	} else if cfg.System != "local" {
		path += ", used in place: the nodes have to see it there"
	}
	return finding("pilot program", path, err)
}

// checkTokens looks at the files of pilots, and asks idds whether it takes their token.
func checkTokens(ctx context.Context, cfg site.Config) harvester.Finding {
	const next = "name a file by pilot.token_file; on the machine of idds `(umask 077; idds token --state STATE pilot > FILE)` writes one"
	err := cfg.CheckPilots()
	detail := cfg.Pilot.TokenFile
	switch {
	case err != nil || cfg.IDDS == "":
	case detail == "":
		err = exitcode.WithNext(errors.New("pilots have no token for idds"), next)
	default:
		token, terr := program.Token("", detail)
		if terr == nil {
			var secret json.RawMessage // it holds the broker's password, and is not looked at
			terr = base.New(base.Config{Base: cfg.IDDS, Token: token, Role: "pilot"}).Read(ctx, "/metainfo/prompt_broker", &secret)
		}
		switch {
		case terr == nil:
			detail += ", which idds takes"
		case exitcode.From(terr) == exitcode.NoCredential: // that idds cannot be asked is another finding
			err = exitcode.WithNext(fmt.Errorf("%s: %w", detail, terr), next)
		}
	}
	return finding("what pilots need", cmp.Or(detail, "a broker configuration of their own"), err)
}

// checkState makes the state folder and a file in it, as run would.
func checkState(dir string) harvester.Finding {
	const next = "choose another folder by state, or mend its rights"
	err := os.MkdirAll(dir, 0o700)
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(dir, ".check-*")
	}
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return finding("state folder", dir+" can be written", exitcode.WithNext(err, next))
}

// checkDemand asks as the harvester would.
func checkDemand(ctx context.Context, cfg site.Config) harvester.Finding {
	cfg.Name = "" // to ask by the site's name is to take part
	demand, err := cfg.Demand()
	if err != nil {
		return finding("demand", "", err)
	}
	d, err := demand.Demand(ctx)
	what, detail := "demand", fmt.Sprintf("count is %d", cfg.Count)
	if cfg.Count == 0 {
		detail = fmt.Sprintf("answers; runs that want pilots: %d", len(d.Demands))
	}
	if cfg.IDDS != "" {
		what = "idds " + cfg.IDDS
		if err == nil && cfg.System != "local" && loopback(cfg.IDDS) {
			err = exitcode.WithNext(errors.New("pilots on other machines do not reach this address"), "give the address by which nodes reach idds")
		}
	}
	return finding(what, detail, err)
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
