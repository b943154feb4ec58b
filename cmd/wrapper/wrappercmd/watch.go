package wrappercmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/wrapper/trial"
)

// settle is how long nothing more may be saved before the payload is run again: editors write in several steps, tools several files.
const settle = 200 * time.Millisecond

// watch runs once, and again whenever a file of the payload or its slice is saved, until ctx ends. What fails is shown and waits
// for the next save.
func watch(c *cli.Context, spec, slice string, once func() error) error {
	if !strings.HasSuffix(spec, ".toml") {
		return exitcode.New(exitcode.Usage, "--watch looks at the folder of the payload's TOML file: name one by --payload")
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return exitcode.New(exitcode.SiteResources, "watching for changes: %w", err)
	}
	defer func() { _ = w.Close() }()
	s := saves{events: w.Events, made: map[string]bool{}}
	dirs := []string{filepath.Dir(spec)}
	for {
		if err := watchFolders(w, dirs[0], slice); errors.Is(err, fs.ErrNotExist) {
			return exitcode.New(exitcode.Usage, "watching for changes: %w", err)
		} else if err != nil {
			return exitcode.New(exitcode.SiteResources, "watching for changes: %w", err)
		}
		before := trial.Files(dirs...)
		if err := once(); err != nil && !program.IsQuiet(err) && context.Cause(c.Context) == nil {
			fmt.Fprintln(c.App.ErrWriter, program.Line(c.App.Name, err))
		}
		for _, path := range trial.Left(before, trial.Files(dirs...)) {
			s.made[path] = true
		}
		if context.Cause(c.Context) != nil {
			return nil
		}
		fmt.Fprintf(c.App.ErrWriter, "\n--- waiting for a change in %s; Ctrl-C ends this ---\n", dirs[0])
		changed := s.next(c.Context)
		if changed == "" {
			return nil
		}
		fmt.Fprintf(c.App.ErrWriter, "--- %s: %s changed ---\n\n", time.Now().Format(time.TimeOnly), changed)
	}
}

// watchFolders watches the payload's folder with all below it, and that of the slice. What is watched already stays so.
func watchFolders(w *fsnotify.Watcher, dir, slice string) error {
	if slice != "" && slice != "-" {
		if err := w.Add(filepath.Dir(slice)); err != nil {
			return fmt.Errorf("%s: %w", filepath.Dir(slice), err)
		}
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path != dir:
			return nil // it has just gone
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case path != dir && aside(d.Name()):
			return fs.SkipDir
		}
		return w.Add(path)
	})
}

// aside holds for what editors, interpreters and tools write beside the files that people save.
func aside(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || slices.Contains([]string{"__pycache__", "venv", "4913"}, name) ||
		slices.Contains([]string{".swp", ".swx", ".tmp", ".part", ".pyc"}, filepath.Ext(name))
}

// saves are the changes that count.
type saves struct {
	events <-chan fsnotify.Event
	made   map[string]bool // by the payload itself: to run it again for them would have no end
}

// next waits for a save and until no more come, and names the first; it is empty when ctx ends.
func (s saves) next(ctx context.Context) (changed string) {
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ""
		case <-quiet.C:
			if changed != "" {
				return changed
			}
		case e, open := <-s.events:
			if !open {
				return ""
			}
			if e.Op == fsnotify.Chmod || aside(filepath.Base(e.Name)) || s.made[filepath.Clean(e.Name)] {
				continue
			}
			if changed == "" {
				changed = filepath.Clean(e.Name)
			}
			quiet.Reset(settle)
		}
	}
}
