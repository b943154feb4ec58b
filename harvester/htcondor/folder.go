package htcondor

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// makeFolders makes the pilots' folders, which HTCondor does not; undo removes them again.
func makeFolders(sub harvester.Submission) (undo func(), err error) {
	var made []string
	undo = func() {
		for _, dir := range made {
			_ = os.Remove(dir) // what somebody has put something into stays
		}
	}
	if err := writable(sub.Dir); err != nil {
		return undo, err
	}
	for i := range sub.Count {
		dir := filepath.Join(sub.Dir, sub.Tag+"."+strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			undo()
			return undo, noFolder(err)
		}
		made = append(made, dir)
	}
	return undo, nil
}

// writable makes a folder where there is none, and tries to write there: HTCondor starts jobs also where it cannot write what
// they print, and nobody sees why they end.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return noFolder(err)
	}
	f, err := os.CreateTemp(dir, ".check-")
	if err != nil {
		return noFolder(err)
	}
	_, err = f.WriteString("tfpilot")
	if err = errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return noFolder(err)
	}
	return nil
}

func noFolder(err error) error {
	return exitcode.WithNext(exitcode.New(exitcode.SiteNoSpace, "the folder of the pilots: %w", err),
		"free its disk or quota, or give the harvester another --state")
}
