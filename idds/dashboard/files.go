package dashboard

import (
	"net/http"
	"time"

	"tfpilot/internal/document"
	"tfpilot/internal/ledger"
)

const (
	// filesShown is how many STF files a page of a run has: each is a sum over its slices.
	filesShown = 20
	// framesShown is how many time-frame files are shown beneath an STF file, of so many slices of it at most.
	framesShown, framesFrom = 16, 64
)

// fileRow is an STF file with its time-frame files.
type fileRow struct {
	document.STFFile

	TimeFrames []frameRow
	// More says that it has more of them, All how many it has; 0 when that is not known here.
	More bool
	All  int
}

// frameRow is a time-frame file, as it was registered and as its slices know it.
type frameRow struct {
	document.TFFile

	Slices document.SliceCounts
	// One is its slice, where it has one.
	One *document.Slice
}

// Parts are what became of its slices.
func (f fileRow) Parts() document.SliceCounts {
	return document.SliceCounts{Published: f.Slices, Done: f.Done, Failed: f.Failed, Outstanding: f.Outstanding}
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
	var found []ledger.Slice
	for i := range list {
		of, err := p.cfg.Store.Slices(r.Context(), ledger.Filter{Namespace: f.Namespace, Run: f.Run, Filename: list[i].Identity, Limit: framesFrom})
		if err != nil {
			return err
		}
		found = append(found, of...)
	}
	// Where they are is looked up at once: it is asked of all workers.
	records, err := p.cfg.Service.Records(r.Context(), f.Namespace, found)
	if err != nil {
		return err
	}
	of := map[string][]document.Slice{}
	for i := range records {
		name := ledger.FileName(records[i].Filename)
		of[name] = append(of[name], records[i])
	}
	for i := range list {
		row := fileRow{STFFile: list[i].Document()}
		registered, err := p.cfg.Store.TFFiles(r.Context(), ledger.TFFilter{Namespace: f.Namespace, Run: f.Run, STF: row.Filename, Limit: framesShown})
		if err != nil {
			return err
		}
		row.timeFrames(registered, of[row.Filename])
		data.Files = append(data.Files, row)
	}
	if len(list) == filesShown {
		data.Next = cursor(list[len(list)-1].Identity)
	}
	return nil
}

// timeFrames fills in the first time-frame files: those that were registered, and those that only slices are of.
func (f *fileRow) timeFrames(registered []document.TFFile, records []document.Slice) {
	at := map[string]int{}
	for i := range registered {
		at[registered[i].Filename] = i
		f.TimeFrames = append(f.TimeFrames, frameRow{TFFile: registered[i]})
	}
	for i := range records {
		r := &records[i]
		n, known := at[r.TFFilename]
		if !known {
			n = len(f.TimeFrames)
			at[r.TFFilename] = n
			f.TimeFrames = append(f.TimeFrames, frameRow{TFFile: document.TFFile{RunID: r.RunID, Filename: r.TFFilename}})
		}
		f.TimeFrames[n].add(r)
	}
	if f.All = max(len(f.TimeFrames), f.TFFiles); len(records) == framesFrom || len(registered) == framesShown {
		f.All = 0
	}
	f.More = f.All == 0 || f.All > min(len(f.TimeFrames), framesShown)
	f.TimeFrames = f.TimeFrames[:min(len(f.TimeFrames), framesShown)]
}

// add counts a slice of the file.
func (f *frameRow) add(r *document.Slice) {
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
