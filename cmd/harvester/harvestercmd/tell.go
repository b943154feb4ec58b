package harvestercmd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"tfpilot/cmd/harvester/harvestercmd/site"
	"tfpilot/harvester"
	"tfpilot/internal/document"
	"tfpilot/internal/program"
	base "tfpilot/internal/rest"
	"tfpilot/internal/version"
)

// newTeller makes the harvester's voice at idds; nil without an idds or a token for it.
func newTeller(cfg site.Config) (*base.Teller, error) {
	if cfg.IDDS == "" || cfg.Token == "" && cfg.TokenFile == "" {
		return nil, nil
	}
	token, err := program.Token(cfg.Token, cfg.TokenFile)
	if err != nil {
		return nil, base.TokenError(err, "harvester")
	}
	client := base.New(base.Config{Base: cfg.IDDS, Token: token, Role: "harvester"})
	return base.NewTeller(client, document.LogRecord{Component: cfg.Name, Role: "harvester", Namespace: cfg.Namespace}, !cfg.NoShipLogs), nil
}

// reader is where the harvester's last report is found.
type reader interface {
	Document(ctx context.Context, name string, into any) (bool, error)
}

// presence is what the harvester says of itself, by its last report.
func presence(ctx context.Context, cfg site.Config, store reader) func() document.Component {
	host, _ := os.Hostname() // only for people
	one := document.Component{
		Namespace: cfg.Namespace, Name: cfg.Name, Role: "harvester", State: "READY", Status: "OK", Details: "system " + cfg.System,
		Hostname: host, PID: os.Getpid(), Version: version.String(), StartedAt: time.Now().UTC(),
	}
	return func() document.Component {
		c := one
		var r harvester.Report
		// One that cannot be read, or was left by a harvester before, says nothing.
		if there, err := store.Document(ctx, harvester.ReportDocument, &r); !there || err != nil || r.At.Before(one.StartedAt.Add(-time.Second)) {
			return c
		}
		wanted, alive := 0, 0
		for _, run := range r.Runs {
			wanted += run.Wanted
			for _, n := range run.Alive {
				alive += n
			}
		}
		if wanted+alive > 0 {
			c.State = "PROCESSING"
		}
		words := []string{fmt.Sprintf("system %s: %d pilots wanted, %d submitted or running", cfg.System, wanted, alive)}
		if r.Drain != nil {
			words = append(words, "draining")
		}
		for _, t := range r.Trouble {
			c.Status = "WARNING"
			words = append(words, t.Whom+": "+t.Text)
		}
		c.Details = strings.Join(append(words, r.Why...), "; ")
		if len(c.Details) > maxDetails {
			c.Details = strings.ToValidUTF8(c.Details[:maxDetails], "")
		}
		return c
	}
}

// maxDetails is how many bytes of it are told.
const maxDetails = 1000
