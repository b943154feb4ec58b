package eicrecon

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/payload"
)

// maxName is the longest name that an output may have.
const maxName = 128

// outputName is how the production worker names the reconstructed file. ROOT takes some characters for parts of a URL: of what the
// producer chose, only plain ones are left.
func outputName(s message.Slice) (string, error) {
	c := s.Content
	base := path.Base(cmp.Or(c.TFFilename, c.Filename))
	stem := strings.TrimSuffix(base, path.Ext(base))
	name := fmt.Sprintf("%s_run_%s_slice_%d_s%d_e%d.edm4eic.root", stem, s.Run(), c.SliceID.Int64(), c.Start.Int64(), c.End.Int64())
	if len(name) > maxName {
		return "", exitcode.New(exitcode.DataInvalid, "tf_filename or run_id of the slice is too long for the name of an output: %.80q...", name)
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-+=@", r) {
			return r
		}
		return '_'
	}, name), nil
}

// result is that of a slice whose file is written, which is measured within a time.
func (p *Payload) result(ctx context.Context, r payload.Request, name string, events int, within time.Duration) (payload.Result, error) {
	text, err := json.Marshal(payload.Result{Counts: map[string]int64{"events": int64(events)}, Outputs: []payload.Output{{Name: name}}})
	if err != nil {
		return payload.Result{}, exitcode.New(exitcode.Internal, "encoding a result: %w", err)
	}
	return p.spec.Result(ctx, text, r, within)
}
