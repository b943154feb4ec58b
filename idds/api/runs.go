package api

import (
	"context"
	"mime"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/hist"
	"tfpilot/internal/ledger"
)

func (a *api) registerRuns(h huma.API) {
	about := func(path, summary string) huma.Operation {
		return with(operation(http.MethodGet, path, summary, readers...), http.StatusNotFound, http.StatusConflict)
	}
	register(h, operation(http.MethodGet, "/v1/runs", "Runs with their accounting, in pages", readers...), a.runs)
	register(h, about("/v1/runs/{run}", "One run"), a.run)
	register(h, about("/v1/runs/{run}/check", "Whether a run's accounting adds up, and where every outstanding slice is"), a.check)
	register(h, about("/v1/runs/{run}/histograms", "A run's merged histograms"), a.histograms)
	root := about("/v1/runs/{run}/histograms.root", "The same as a ROOT file")
	root.Responses = map[string]*huma.Response{"200": {
		Description: "A TH1D for each histogram.",
		Content:     map[string]*huma.MediaType{rootType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	register(h, root, a.rootFile)
	register(h, about("/v1/runs/{run}/payloads", "What each version of a payload took in a run"), a.payloads)
	register(h, operation(http.MethodGet, "/v1/failures", "How many slices have failed, or are tried again, by class and name of the failure", readers...), a.failures)
	register(h, operation(http.MethodGet, "/v1/files", "STF files with what became of their slices, in pages; the time-frame files of one are its slices", readers...), a.files)
}

// RunPath names a run.
type RunPath struct {
	Scope

	Run string `path:"run" maxLength:"200" doc:"run number"`
}

func (a *api) runs(ctx context.Context, in *struct {
	Scope

	State string `query:"state" enum:"unannounced,open,ending,closed," doc:"only runs in this state; of an unannounced one only results are known"`
	After string `query:"after" maxLength:"4000" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many at most"`
},
) (*body[document.Page[document.Run]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	f := ledger.RunFilter{Namespace: namespace, Limit: in.Limit}
	var after ledger.Key
	if err := readCursor(in.After, &after); err != nil {
		return nil, err
	}
	f.AfterNamespace, f.AfterRun = after.Namespace, after.Run
	if in.State != "" {
		f.States = []document.RunState{document.RunState(in.State)}
	}
	list, err := a.store.FindRuns(ctx, f)
	if err != nil {
		return nil, err
	}
	out := &body[document.Page[document.Run]]{}
	out.Body.Items = []document.Run{}
	for i := range list {
		doc, err := a.service.RunDocument(ctx, list[i])
		if err != nil {
			return nil, err
		}
		out.Body.Items = append(out.Body.Items, doc)
	}
	if len(list) == in.Limit {
		last := &list[len(list)-1]
		out.Body.Next, err = cursor(ledger.Key{Namespace: last.Namespace, Run: ledger.Text(last.RunID.String())})
	}
	return out, err
}

// find is the run that is meant.
func (a *api) find(ctx context.Context, in *RunPath) (ledger.Run, error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return ledger.Run{}, err
	}
	list, err := a.store.FindRuns(ctx, ledger.RunFilter{Namespace: namespace, Run: in.Run, Limit: 2})
	switch {
	case err != nil:
		return ledger.Run{}, err
	case len(list) == 0:
		return ledger.Run{}, huma.Error404NotFound("run " + in.Run + " is not known")
	case len(list) > 1:
		return ledger.Run{}, huma.Error409Conflict("there is a run " + in.Run + " in more than one namespace: say which by ?namespace=")
	}
	return list[0], nil
}

func (a *api) run(ctx context.Context, in *RunPath) (*body[document.Run], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	doc, err := a.service.RunDocument(ctx, r)
	return &body[document.Run]{doc}, err
}

func (a *api) check(ctx context.Context, in *RunPath) (*body[document.RunCheck], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	doc, err := a.service.Check(ctx, r)
	return &body[document.RunCheck]{doc}, err
}

func (a *api) payloads(ctx context.Context, in *RunPath) (*body[document.Page[document.Payload]], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return &body[document.Page[document.Payload]]{document.Page[document.Payload]{Items: r.Payloads.Documents()}}, nil
}

// Histograms is the answer of /v1/runs/{run}/histograms.
type Histograms struct {
	Histograms hist.Set `json:"histograms"`
}

func (a *api) histograms(ctx context.Context, in *RunPath) (*body[Histograms], error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	set, err := a.store.MergedHistograms(ctx, r.Namespace, r.RunID.String())
	if set == nil {
		set = hist.Set{}
	}
	return &body[Histograms]{Histograms{set}}, err
}

// rootType is the type of ROOT files.
const rootType = "application/x-root"

// rootFile is a file and its name.
type rootFile struct {
	Type string `header:"Content-Type"`
	Name string `header:"Content-Disposition"`
	Body []byte
}

func (a *api) rootFile(ctx context.Context, in *RunPath) (*rootFile, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	set, err := a.store.MergedHistograms(ctx, r.Namespace, r.RunID.String())
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		return nil, huma.Error404NotFound("run " + in.Run + " has no histograms yet")
	}
	file, err := a.cfg.ROOT(set)
	// A run may be called anything.
	name := mime.FormatMediaType("attachment", map[string]string{"filename": "run-" + in.Run + ".root"})
	return &rootFile{Type: rootType, Name: name, Body: file}, err
}

// About is what is counted.
type About struct {
	Scope

	Run string `query:"run" maxLength:"200" doc:"only of this run"`
}

func (a *api) failures(ctx context.Context, in *About) (*body[document.Page[document.FailureCount]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	list, err := a.store.Failures(ctx, namespace, in.Run)
	return &body[document.Page[document.FailureCount]]{document.Page[document.FailureCount]{Items: ledger.FailureDocuments(list)}}, err
}

func (a *api) files(ctx context.Context, in *struct {
	About

	After string `query:"after" maxLength:"4000" doc:"cursor: next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"how many at most; each is a sum over its slices"`
},
) (*body[document.Page[document.STFFile]], error) {
	namespace, err := scope(ctx, in.Namespace)
	if err != nil {
		return nil, err
	}
	f := ledger.FileFilter{Namespace: namespace, Run: in.Run, Limit: in.Limit}
	if err := readCursor(in.After, &f.After); err != nil {
		return nil, err
	}
	list, err := a.store.Files(ctx, f)
	out := &body[document.Page[document.STFFile]]{}
	out.Body.Items = []document.STFFile{}
	for i := range list {
		out.Body.Items = append(out.Body.Items, list[i].Document())
	}
	if err == nil && len(list) == in.Limit {
		out.Body.Next, err = cursor(list[len(list)-1].Key)
	}
	return out, err
}
