// Package roothist gives out merged histograms as a ROOT file, written without ROOT.
package roothist

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
)

// Encode is a ROOT file with a TH1D for each histogram, by its name. Names are anybody's: what cannot be in one of ROOT's is "_" there.
// Entries that are not a number have no place in ROOT.
func Encode(set hist.Set) (file []byte, err error) {
	dir, err := os.MkdirTemp("", "tfpilot-histograms-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder for a ROOT file: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	taken := map[string]bool{}
	list := make([]*hist.H1, len(set))
	for i := range set {
		list[i] = set[i].Clone()
		list[i].Name = free(taken, rootName(set[i].Name))
	}
	path := filepath.Join(dir, "run.root")
	if err := rootfile.WriteHistograms(path, list); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// rootName is a name that a key of ROOT can have: "/" would be a folder, ";" a version.
func rootName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == ';' || r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}

// free is a name that no other has taken.
func free(taken map[string]bool, name string) string {
	for n, base := 2, name; taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	taken[name] = true
	return name
}
