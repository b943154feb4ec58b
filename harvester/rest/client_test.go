package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"tfpilot/harvester/rest"
	"tfpilot/internal/document"
)

func TestASiteGetsItsPartOfWhatIsWanted(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RequestURI()
		_ = json.NewEncoder(w).Encode(document.Demand{Demands: []document.RunDemand{
			{RunID: "1", Wanted: 9, Sites: []document.SiteDemand{{Site: "north", Wanted: 7}, {Site: "south & west", Wanted: 2}}},
			{RunID: "2", Wanted: 5}, // as an idds says it that knows no sites
		}})
	}))
	t.Cleanup(server.Close)
	for _, of := range []struct {
		client rest.Client
		path   string
		first  int
	}{
		{rest.New(server.URL, "t"), "/v1/demand", 9},
		{rest.New(server.URL, "t").For("south & west", 40), "/v1/demand?max_workers=40&site=south+%26+west", 2},
		{rest.New(server.URL, "t").For("east", 0), "/v1/demand?max_workers=0&site=east", 0}, // it is not one of the sites
	} {
		d, err := of.client.Demand(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if path := <-asked; path != of.path || len(d.Demands) != 2 || d.Demands[0].Wanted != of.first || d.Demands[1].Wanted != 5 {
			t.Errorf("asked %s and got %+v", path, d.Demands)
		}
	}
}
