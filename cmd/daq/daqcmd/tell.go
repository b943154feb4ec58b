package daqcmd

import (
	"fmt"
	"os"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
	"tfpilot/internal/version"
)

// teller is daq's voice at idds; nil without one.
func (o runOptions) teller() (*rest.Teller, error) {
	if o.IDDS == "" {
		return nil, nil
	}
	if err := rest.CheckBase("--idds", o.IDDS); err != nil {
		return nil, err
	}
	token, err := program.Token(o.Token, o.TokenFile)
	if err != nil {
		return nil, rest.TokenError(err, "harvester")
	}
	client := rest.New(rest.Config{Base: o.IDDS, Token: token, Role: "harvester"})
	return rest.NewTeller(client, document.LogRecord{Component: o.Sender, Role: "daq", Namespace: o.Namespace}, !o.NoShipLogs), nil
}

// presence is what daq says of itself while it takes a run.
func (o runOptions) presence(run string) func() document.Component {
	host, _ := os.Hostname() // only for people
	c := document.Component{
		Namespace: o.Namespace, Name: o.Sender, Role: "daq", State: "PROCESSING", Status: "OK", RunID: run, Hostname: host, PID: os.Getpid(),
		Version: version.String(), StartedAt: time.Now().UTC(), Details: fmt.Sprintf("takes run %s", run),
	}
	return func() document.Component { return c }
}
