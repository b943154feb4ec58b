package stf_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/hist"
	"tfpilot/internal/rootfile"
	"tfpilot/internal/stf"
)

// A full disk is met through /dev/full, to which the file's temporary name leads.
func TestAFullDiskIsOneLineThatNamesTheFileOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.stf")
	if err := os.Symlink("/dev/full", path+".tmp"); err != nil {
		t.Fatal(err)
	}
	w, err := stf.Create(path, geometry(), nil)
	for _, f := range frames(200, 2000) {
		if err == nil {
			err = w.Write(&f)
		}
	}
	if err == nil {
		_, err = w.Close()
	}
	if exitcode.From(err) != exitcode.SiteNoSpace || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if text := err.Error(); strings.Count(text, path) != 1 || strings.Contains(text, ".tmp") || strings.Contains(text, "basket") || strings.Contains(text, "riofs") {
		t.Errorf("%s", text)
	}
}

func TestAnotherROOTFileIsToldFromADamagedOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other, text := filepath.Join(dir, "histograms.root"), filepath.Join(dir, "text.stf")
	h := hist.New1D("pt", "transverse momentum", "GeV", 10, 0, 1)
	if err := rootfile.WriteHistograms(other, []*hist.H1{h}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, []byte(strings.Repeat("hello ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		other: {"is a ROOT file, but no time-frame file", "no hits, no geometry", "pt (TH1D)"},
		text:  {"it does not begin as a ROOT file"},
	} {
		_, err := stf.Open(path)
		if exitcode.From(err) != exitcode.DataCorrupt || !strings.Contains(exitcode.Next(err), "name an STF file") {
			t.Errorf("%v (%s)", err, exitcode.Next(err))
		}
		for _, w := range append(want, path) {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in %v", w, err)
			}
		}
		if strings.Contains(err.Error(), ".tmp") || strings.Contains(err.Error(), "adler32") {
			t.Errorf("%v", err)
		}
	}
}
