package conformance_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tfpilot/internal/e2e/conformance"
)

var update = flag.Bool("update", false, "write the table into docs/brokers.md")

func TestTheDocumentHasTheTable(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
	path := filepath.Join("..", "..", "..", "docs", "brokers.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", path)
	}
	if table == conformance.Table() {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not that of the suite; `go test ./internal/e2e/conformance -update` writes it", path)
	}
	if err := os.WriteFile(path, []byte(before+begin+conformance.Table()+end+after), 0o600); err != nil {
		t.Fatal(err)
	}
}
