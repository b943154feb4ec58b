package rest_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"tfpilot/internal/document"
	"tfpilot/internal/rest"
)

// numbers is a service with a list of numbers, of which it hands out as many at once as are wanted.
func numbers(t *testing.T, n int) (read func(path string, into any) error, asked *[]string) {
	t.Helper()
	asked = new([]string)
	return func(path string, into any) error {
		*asked = append(*asked, path)
		u, err := url.Parse(path)
		if err != nil {
			return err
		}
		page, ok := into.(*document.Page[int])
		limit, err := strconv.Atoi(u.Query().Get("limit"))
		if !ok || err != nil {
			return fmt.Errorf("%T, %w", into, err)
		}
		from, _ := strconv.Atoi(u.Query().Get("after"))
		for i := from; i < min(n, from+limit); i++ {
			page.Items = append(page.Items, i)
		}
		if from+limit < n {
			page.Next = strconv.Itoa(from + limit)
		}
		return nil
	}, asked
}

func TestAListIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	read, asked := numbers(t, 2500)
	all, err := rest.Pages[int](read, "/v1/numbers", url.Values{"run": {"7"}}, 0)
	if err != nil || len(all.Items) != 2500 || all.Items[2499] != 2499 || all.Next != "" || len(*asked) != 3 {
		t.Errorf("%d, %q, %v, %q", len(all.Items), all.Next, err, *asked)
	}
	if want := "/v1/numbers?after=1000&limit=1000&run=7"; (*asked)[1] != want {
		t.Errorf("got %s\nwant %s", (*asked)[1], want)
	}
	none, err := rest.Pages[int](func(string, any) error { return nil }, "/v1/numbers", nil, 0)
	if err != nil || none.Items == nil {
		t.Errorf("%v, %v", none, err)
	}
}

func TestNoMoreOfAListIsReadThanIsWanted(t *testing.T) {
	t.Parallel()
	read, asked := numbers(t, 2500)
	some, err := rest.Pages[int](read, "/v1/numbers", url.Values{"limit": {"500"}}, 700)
	if err != nil || len(some.Items) != 700 || some.Next != "700" {
		t.Errorf("%d, %q, %v", len(some.Items), some.Next, err)
	}
	if want := []string{"/v1/numbers?limit=500", "/v1/numbers?after=500&limit=200"}; fmt.Sprint(*asked) != fmt.Sprint(want) {
		t.Errorf("got %q\nwant %q", *asked, want)
	}
}
