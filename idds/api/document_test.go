package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/api.md")

const documentHead = `# The REST interface of idds

Made from the code by ` + "`make generate`" + `. A running service describes all of it, parameters and documents too: ` + "`/openapi.json`" + ` (OpenAPI 3.1) for
programs, ` + "`/docs`" + ` for people, which needs no internet.

- **Who asks** says so by ` + "`Authorization: Bearer TOKEN`" + `; [operations/tokens.md](operations/tokens.md) has what which token may do.
- **Lists** come in pages: ` + "`limit`" + ` bounds one, and its ` + "`next`" + `, handed back as ` + "`after`" + `, gives the following one. There is none after the last.
- **Pollers** hand the ` + "`ETag`" + ` of an answer back as ` + "`If-None-Match`" + `: 304 says that nothing has changed. Answers that say what time it is
  (` + "`/v1/demand`, `/v1/health`" + `) always have.
- **Watchers** read ` + "`/v1/events`" + `, server-sent events: ` + "`board`" + ` is what ` + "`/v1/board`" + ` answers, as soon as it has changed and three times a second at
  most; ` + "`histograms`" + ` are the merged ones of a run, once a second at most; ` + "`bye`" + ` is the last one and says why. Comments come every 10 s when there
  is nothing else. Whoever is slow gets the latest and not what was between; with ` + "`Last-Event-ID`" + ` nobody gets the board again that he has.
- **Errors** are problems as RFC 9457 has them, ` + "`application/problem+json`" + ` with ` + "`status`, `title`, `detail`" + `: 400 and 422 the request is none, 401
  and 403 the token, 404 no such thing, 413 too long, 429 too often, 503 the store or the token's issuer is away and it may be tried again.
- **A run number** that there is in more than one namespace needs ` + "`?namespace=`" + `, or the answer is 409.

` + "```sh" + `
curl -H "Authorization: Bearer $(cat viewer.token)" "$TFPILOT_IDDS/v1/slices?run=100001&state=failed&limit=10"
` + "```" + `

| operation | what it is | filters | roles |
|---|---|---|---|
`

const documentTail = `
The paths of the production system, those of its iDDS (` + "`/workflow_task`, `/message`, `/metainfo`, `/auth`, and all of them below `/idds`" + `) and of its PanDA
server's relay, answer as that does ([compatibility.md](compatibility.md#as-the-idds-of-the-production-system)).

` + "`make test/api`" + ` makes thousands of requests from this description, good ones and bad ones, and takes no failure of the server and no answer
that is not in it.
`

func TestDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	_, text := request(t, http.MethodGet, server(t)+"/openapi.json", "", "")
	var doc struct {
		Paths map[string]map[string]struct {
			Summary, Description string
			Parameters           []struct{ Name, In string }
		}
	}
	must(t, json.Unmarshal([]byte(text), &doc))
	var b strings.Builder
	b.WriteString(documentHead)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			var filters []string
			for _, p := range op.Parameters {
				if p.In == "query" && p.Name != "after" && p.Name != "limit" && p.Name != "namespace" {
					filters = append(filters, "`"+p.Name+"`")
				}
			}
			roles := strings.TrimSuffix(strings.TrimPrefix(op.Description, "For tokens of role "), ".")
			if strings.Count(roles, ",") == 3 {
				roles = "all"
			}
			fmt.Fprintf(&b, "| `%s %s` | %s | %s | %s |\n", strings.ToUpper(method), path, op.Summary, strings.Join(filters, ", "), roles)
		}
	}
	b.WriteString(documentTail)
	const file = "../../docs/api.md"
	if *update {
		must(t, os.WriteFile(file, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(file)
	if must(t, err); string(got) != b.String() {
		t.Error("docs/api.md is not what the code says; `make generate` rewrites it")
	}
}
