package rest

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
)

// FindSlice asks for a slice by its identity. Namespace and run may be empty: all runs are asked then, and one of them has to have it.
func (c *Client) FindSlice(ctx context.Context, namespace, run, identity string) (found document.SliceHistory, err error) {
	runs := []document.Run{{RunID: run, Namespace: namespace}}
	if run == "" {
		read := func(path string, into any) error { return c.Read(ctx, path, into) }
		all, err := Pages[document.Run](read, "/v1/runs", url.Values{"namespace": {namespace}}, 0)
		if err != nil {
			return found, err
		}
		runs = all.Items
	}
	var in []string
	for _, r := range runs {
		var doc document.SliceHistory
		path := "/v1/runs/" + url.PathEscape(r.RunID) + "/slices/" + url.PathEscape(identity) + "?" + url.Values{"namespace": {r.Namespace}}.Encode()
		err := c.Read(ctx, path, &doc)
		if refused, ok := errors.AsType[*StatusError](err); ok && refused.Code == http.StatusNotFound {
			continue
		}
		if err != nil {
			return found, err
		}
		found, in = doc, append(in, doc.RunID+" in "+doc.Namespace)
	}
	switch len(in) {
	case 0:
		return found, exitcode.WithNext(exitcode.New(exitcode.Usage, "idds knows no slice %q", identity), "`idds slices` lists those that there are")
	case 1:
		return found, nil
	default:
		return found, exitcode.WithNext(exitcode.New(exitcode.Usage, "several runs have a slice %q: %s", identity, strings.Join(in, ", ")), "say which by --run and --namespace")
	}
}
