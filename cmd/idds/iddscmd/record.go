package iddscmd

import (
	"log/slog"

	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/panda"
	"tfpilot/idds/record"
	"tfpilot/internal/broker"
	"tfpilot/internal/ledger"
	"tfpilot/internal/logging"
	"tfpilot/internal/recent"
)

// recordConfig is what is noted beside slices.
type recordConfig struct {
	DetectorTopic string `toml:"detector_topic" default:"/topic/epictopic" zero:"true" help:"topic where the data side tells of runs and files; not listened to when empty"`
	AgentLogs     bool   `toml:"agent_logs" help:"take lines of the production system's agents at /api/logs/, as their monitor does: from anybody, without a token"`
}

// notes are what is known beside slices, and the line on which it is heard, which may be nil.
type notes struct {
	*record.Record

	memory *recent.Memory
	link   *broker.Link
	roll   *record.Roll // once there is a service
}

// notes makes the record of a service that is not there yet.
func (c serveConfig) notes(store ledger.Store, log *slog.Logger) (*notes, error) {
	n := &notes{memory: recent.New(c.Now)}
	if c.DetectorTopic != "" {
		conf := c.Broker
		conf.Logger, conf.ClientID = logging.Discard(), c.Namespace+".idds.detector"
		var err error
		if n.link, err = broker.New(conf); err != nil {
			return nil, err
		}
	}
	n.Record = record.New(store, n.memory, log, record.Config{Namespace: c.Namespace, Link: n.link, Topic: c.DetectorTopic, Now: c.Now})
	return n, nil
}

// mounts are what agents of the production system find here, where that is wanted.
func (n *notes) mounts(cfg serveConfig) []api.Mount {
	if !cfg.AgentLogs {
		return nil
	}
	return []api.Mount{api.Mount(panda.AgentLogs(n.memory, cfg.Namespace))}
}

// serve calls the roll of a service, and is what the REST interface is told.
func (n *notes) serve(service *idds.Service) api.Record {
	n.roll = record.NewRoll(n.Record, service)
	return api.Record{Recent: n.memory, Components: n.roll.Components, Compare: record.Compare, Beat: n.Report}
}
