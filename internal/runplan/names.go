package runplan

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// STFName is the name of an STF file, with sequence counted from 1.
func STFName(run string, sequence int) string {
	return fmt.Sprintf("swf.%s.%06d.stf", run, sequence)
}

// sampleName is the name of time-frame sample n (from 1) of an STF.
func sampleName(stf string, n int) string {
	return fmt.Sprintf("%s_tf_%03d.tf", strings.TrimSuffix(stf, path.Ext(stf)), n)
}

// Dataset is the name of a run's dataset.
func Dataset(run string) string { return "swf." + run + ".run" }

// identities is the name space of all ids made here: a UUIDv5 in the name space of URLs, of a name that nobody else uses.
var identities = uuid.NewSHA1(uuid.NameSpaceURL, []byte("tfpilot:daq"))

// ReqID is the identity of a slice. It depends on what the slice is and on nothing else, so that a daq that publishes it
// again publishes the same.
func ReqID(namespace, run, tfFilename string, sliceID int) string {
	return identity("slice", namespace, run, tfFilename, strconv.Itoa(sliceID))
}

func identity(parts ...string) string {
	return uuid.NewSHA1(identities, []byte(strings.Join(parts, "/"))).String()
}
