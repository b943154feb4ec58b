package iddscmd

import (
	"tfpilot/idds"
	"tfpilot/idds/api"
	"tfpilot/idds/panda"
	"tfpilot/internal/ledger"
)

// production are the paths of the production system: those of its iDDS, and of the PanDA server that relays to it.
func production(service *idds.Service, store ledger.Store, rest api.Config) []api.Mount {
	s := panda.New(panda.Config{Desk: service, Messages: store, Broker: rest.BrokerFor, Namespace: rest.Namespace})
	var out []api.Mount
	for _, r := range s.Routes() {
		out = append(out, api.Mount(r))
	}
	return out
}
