// Package record is what idds knows beside slices: which programs are alive, what the detector does, which files there are, and what
// was seen and said lately.
//
// A [Record] hears of every message that the service has seen ([Record.Saw]), listens to /topic/epictopic on a connection of its own
// ([Record.Run]), and takes the heart-beats that come by REST ([Record.Report]). What must be known after a restart it writes into the
// store; what the broker sent is acknowledged after that.
//
// Goroutines: those of one intake, and one that writes the components now and then, owned by Run.
package record
