package trial

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Files are all files and folders below some folders, but for what languages and editors keep for themselves.
func Files(dirs ...string) []string {
	var out []string
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			name := filepath.Base(path)
			switch {
			case err != nil:
				return nil //nolint:nilerr // what goes away meanwhile is not left
			case path == dir:
				return nil
			case d.IsDir() && (name == "__pycache__" || name == "venv" || strings.HasPrefix(name, ".")):
				return fs.SkipDir
			}
			out = append(out, path)
			return nil
		})
	}
	slices.Sort(out)
	return out
}

// Left are the files that were not there before, without those in folders that are new themselves.
func Left(before, after []string) []string {
	var out []string
	for _, path := range after {
		if _, there := slices.BinarySearch(before, path); there {
			continue
		}
		if n := len(out); n > 0 && strings.HasPrefix(path, out[n-1]+"/") {
			continue
		}
		out = append(out, path)
	}
	return out
}
