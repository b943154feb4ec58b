package dashboard

import (
	"context"
	"net/http"
	"time"

	"tfpilot/internal/ledger"
	"tfpilot/internal/message"
)

const (
	// filesShown is how many STF files a page of a run has: each is a sum over its slices.
	filesShown = 20
	// framesShown is how many time-frame files are shown beneath an STF file, of so many slices of it at most.
	framesShown, framesFrom = 16, 64
)

// fileRow is an STF file with its time-frame files.
type fileRow struct {
	message.FileDocument

	TimeFrames []frameRow
	// More says that it has more of them.
	More bool
}

// frameRow is a time-frame file, as it was registered and as its slices know it.
type frameRow struct {
	message.TFFileDocument

	Slices message.SliceCounts
	// One is its slice, where it has one.
	One *message.SliceRecord
}

// Parts are what became of its slices.
func (f fileRow) Parts() message.SliceCounts {
	return message.SliceCounts{Published: f.Slices, Done: f.Done, Failed: f.Failed, Outstanding: f.Outstanding}
}

// Began is when it was written or, where nobody says, when its first slice was created.
func (f fileRow) Began() time.Time {
	if f.STFCreatedAt.IsZero() {
		return f.FirstCreatedAt
	}
	return f.STFCreatedAt
}

// files are a page of the run's STF files, the last first.
func (p *Pages) files(r *http.Request, run ledger.Run, data *runPage) error {
	f := ledger.FileFilter{Namespace: run.Namespace, Run: run.RunID.String(), Descending: true, Limit: filesShown}
	if err := readCursor(r, &f.After.Identity); err != nil {
		return err
	}
	list, err := p.cfg.Store.Files(r.Context(), f)
	if err != nil {
		return err
	}
	for i := range list {
		row := fileRow{FileDocument: list[i].Document()}
		if err := p.timeFrames(r.Context(), &row); err != nil {
			return err
		}
		data.Files = append(data.Files, row)
	}
	if len(list) == filesShown {
		data.Next = cursor(list[len(list)-1].Identity)
	}
	return nil
}

// timeFrames fills in the first time-frame files of an STF file: those that were registered, and those that only slices are of.
func (p *Pages) timeFrames(ctx context.Context, row *fileRow) error {
	registered, err := p.cfg.Store.TFFiles(ctx, ledger.TFFilter{Namespace: row.Namespace, Run: row.RunID, STF: row.Filename, Limit: framesShown})
	if err != nil {
		return err
	}
	found, err := p.cfg.Store.Slices(ctx, ledger.Filter{Namespace: row.Namespace, Run: row.RunID, Filename: row.Filename, Limit: framesFrom})
	if err != nil {
		return err
	}
	records, err := p.cfg.Service.Records(ctx, row.Namespace, found)
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i := range registered {
		at[registered[i].Filename] = i
		row.TimeFrames = append(row.TimeFrames, frameRow{TFFileDocument: registered[i]})
	}
	for i := range records {
		r := &records[i]
		n, known := at[r.TFFilename]
		if !known {
			n = len(row.TimeFrames)
			at[r.TFFilename] = n
			row.TimeFrames = append(row.TimeFrames, frameRow{TFFileDocument: message.TFFileDocument{RunID: r.RunID, Filename: r.TFFilename}})
		}
		row.TimeFrames[n].add(r)
	}
	row.More = len(records) == framesFrom || len(row.TimeFrames) > framesShown || row.TFFiles > len(row.TimeFrames)
	row.TimeFrames = row.TimeFrames[:min(len(row.TimeFrames), framesShown)]
	return nil
}

// add counts a slice of the file.
func (f *frameRow) add(r *message.SliceRecord) {
	f.Slices.Published++
	switch ledger.SliceState(r.State) {
	case ledger.Done:
		f.Slices.Done++
	case ledger.Failed:
		f.Slices.Failed++
	case ledger.Outstanding, ledger.Waiting:
		f.Slices.Outstanding++
	}
	if f.One = r; f.Slices.Published > 1 {
		f.One = nil
	}
	if f.First == nil || *f.First > r.Start {
		f.First = &r.Start
	}
	if f.Last == nil || *f.Last < r.End {
		f.Last = &r.End
	}
}
