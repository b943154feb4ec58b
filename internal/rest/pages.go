package rest

import (
	"maps"
	"net/url"
	"strconv"

	"tfpilot/internal/document"
)

// PageSize is how much of a list is asked for at once.
const PageSize = 1000

// Pages reads a list page after page, until there are as many entries as are wanted, or all with 0; Next is where they would go on. A
// limit in the query is that of a page, for lists that hand out fewer.
func Pages[T any](read func(path string, into any) error, path string, query url.Values, most int) (document.Page[T], error) {
	out, q := document.Page[T]{Items: []T{}}, url.Values{}
	maps.Copy(q, query)
	size := PageSize
	if n, err := strconv.Atoi(q.Get("limit")); err == nil {
		size = n
	}
	for {
		want := size
		if most > 0 {
			want = min(want, most-len(out.Items))
		}
		q.Set("limit", strconv.Itoa(want))
		var page document.Page[T]
		if err := read(path+"?"+q.Encode(), &page); err != nil {
			return out, err
		}
		if out.Items, out.Next = append(out.Items, page.Items...), page.Next; page.Next == "" || most > 0 && len(out.Items) >= most {
			return out, nil
		}
		q.Set("after", page.Next)
	}
}
