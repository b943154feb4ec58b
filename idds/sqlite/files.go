package sqlite

import (
	"os"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/ledger"
)

// files are the ledger's file and its log as they were opened. The system lets a process write to a file that was removed or replaced:
// what is committed there is found by nobody who starts after us.
type files map[string]os.FileInfo

func openedFiles(path string) (files, error) {
	out := files{}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		out[name] = info
	}
	return out, nil
}

// present answers whether the files are where they were.
func (f files) present() error {
	for name, opened := range f {
		found, err := os.Stat(name)
		switch {
		case err != nil:
			return exitcode.New(exitcode.StoreFailed, "%w: the file of the store was moved or removed (%w); put it back, or end idds, restore a backup and start it again",
				ledger.ErrUnavailable, err)
		case !os.SameFile(opened, found):
			return exitcode.New(exitcode.StoreFailed, "%w: another file lies at %s than the one that is open; put that back, or start idds again on this one",
				ledger.ErrUnavailable, name)
		}
	}
	return nil
}
