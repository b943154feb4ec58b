// Package panda reads the queues of a production system: panda_queues.json, the export of CRIC that its servers use.
//
// A queue has about ninety keys, of which a few say what a pilot needs. All others are told, so that nobody has to guess what was
// taken over and what was not.
package panda

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// Queue is what a queue says, as far as it concerns a harvester.
type Queue struct {
	Name   string
	Status string
	// System is slurm or htcondor, empty when the queue does not tell.
	System string
	// CE is the endpoint of the compute element, such as ce.example.org:9619.
	CE        string
	Partition string
	Resources harvester.Resources
	// Env are entries NAME=value.
	Env []string
	// Left are the other keys that have a value, with it; Unknown those of them that this program has never heard of.
	Left    []Key
	Unknown []string
}

// Key is one that was not taken over.
type Key struct {
	Name, Value string
	// Why says what there is in its place, where there is something.
	Why string
}

// fields are those that are taken over; what else a queue has is kept as it is.
type fields struct {
	Name      string `json:"name"`
	Status    string `json:"status"`
	CoreCount *int   `json:"corecount"`
	MaxRSS    int    `json:"maxrss"`
	MaxTime   int64  `json:"maxtime"`
	MaxWDir   int    `json:"maxwdir"`
	Environ   string `json:"environ"`
	Container string `json:"container_options"`
	Queues    []struct {
		Endpoint string `json:"ce_endpoint"`
		Flavour  string `json:"ce_flavour"`
		Manager  string `json:"ce_jobmanager"`
		Queue    string `json:"ce_queue_name"`
		Status   string `json:"ce_status"`
	} `json:"queues"`
}

// Read reads one queue of a file.
func Read(file, name string) (Queue, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Queue{}, exitcode.New(exitcode.Usage, "reading the queues: %w", err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return Queue{}, exitcode.New(exitcode.Usage, "%s is not a panda_queues.json, an object with a queue under each name: %s", file, where(b, err))
	}
	text, ok := all[name]
	if !ok {
		return Queue{}, exitcode.WithNext(exitcode.New(exitcode.Usage, "%s has no queue %q", file, name), "it has: "+strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	var f fields
	var keys map[string]json.RawMessage
	err = json.Unmarshal(text, &f)
	if err == nil {
		err = json.Unmarshal(text, &keys)
	}
	if err != nil {
		return Queue{}, exitcode.New(exitcode.Usage, "%s: queue %s: %w", file, name, err)
	}
	return f.queue(name, keys), nil
}

// where adds the line to a mistake of the syntax.
func where(text []byte, err error) string {
	if e, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // it comes straight from the decoder
		return fmt.Sprintf("line %d: %s", 1+strings.Count(string(text[:min(int(e.Offset), len(text))]), "\n"), err)
	}
	return err.Error()
}

func (f fields) queue(name string, keys map[string]json.RawMessage) Queue {
	q := Queue{Name: name, Status: f.Status, Env: strings.Fields(f.Environ)}
	q.Resources = harvester.Resources{Cores: 1, MemoryMB: f.MaxRSS, DiskMB: f.MaxWDir, WallTime: time.Duration(f.MaxTime) * time.Second}
	if options := strings.Join(strings.Fields(f.Container), " "); options != "" {
		q.Env = append(q.Env, "TFPILOT_CONTAINER_OPTIONS="+options)
	}
	if f.CoreCount != nil && *f.CoreCount > 0 {
		q.Resources.Cores = *f.CoreCount
	}
	if len(f.Queues) > 0 {
		first := f.Queues[0]
		q.CE, q.Partition = first.Endpoint, first.Queue
		switch kind := strings.ToLower(first.Flavour + " " + first.Manager); {
		case strings.Contains(kind, "condor"):
			q.System = "htcondor"
		case strings.Contains(kind, "slurm"):
			q.System = "slurm"
		}
		for _, more := range f.Queues[1:] {
			q.Left = append(q.Left, Key{"queues", more.Flavour + " " + more.Endpoint, "one compute element is used; describe each other in a file of its own"})
		}
	}
	taken := []string{"name", "corecount", "maxrss", "maxtime", "maxwdir", "environ", "container_options", "queues"}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value := string(keys[key])
		if slices.Contains(taken, key) || slices.Contains([]string{"null", `""`, "{}", "[]"}, value) || key == "status" && f.Status == "online" {
			continue
		}
		if !slices.Contains(known, key) {
			q.Unknown = append(q.Unknown, key)
		}
		q.Left = append(q.Left, Key{key, value, instead[key]})
	}
	return q
}

// instead says what takes the place of a key.
var instead = map[string]string{
	"status":         "the queue is not open in production",
	"container_type": "what a payload runs in stands in its TOML file",
	"envsetup":       "put it into the payload's TOML file",
	"timefloor":      "a pilot stays until its run is over or its wall time is",
	"minrss":         "only memory_mb is asked for",
	"meanrss":        "only memory_mb is asked for",
	"mintime":        "only wall_time is asked for",
	"pilot_version":  "pilots are of this program",
	"pilot_manager":  "pilots are of this program",
	"copytools":      "a payload reads its input itself",
	"acopytools":     "a payload reads its input itself",
	"astorages":      "a payload reads its input itself",
}
