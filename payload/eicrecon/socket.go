package eicrecon

import (
	"os"
	"path/filepath"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/scratch"
)

const (
	// maxSocketPath is what the kernel takes for the name of a Unix socket.
	maxSocketPath = 107
	socketPrefix  = "tfpilot-eic-"
)

// socket is where a daemon listens: a name in a folder of its own, which nobody else may enter. Each daemon gets a new one, so that what
// an earlier one left cannot be taken for it.
type socket struct {
	folder scratch.Folder
	path   string
}

// newSocket makes the folder in base.
func newSocket(base string) (s socket, err error) {
	if s.folder, err = scratch.New(base, socketPrefix); err != nil {
		return socket{}, exitcode.New(exitcode.SiteNoSpace, "making the folder of a socket: %w", err)
	}
	s.path = filepath.Join(s.folder.Path, "s")
	if len(s.path) > maxSocketPath {
		s.remove()
		err := exitcode.New(exitcode.BadConfig, "the name of a socket has at most %d bytes: %s", maxSocketPath, s.path)
		return socket{}, exitcode.WithNext(err, "set socket_dir in [eicrecon] to a folder with a short name")
	}
	return s, nil
}

// remove removes the folder, and with it whatever the daemon left there.
func (s socket) remove() {
	if s.path != "" {
		removeFolder(s.folder.Path)
	}
	s.folder.Release()
}

// sweepSockets removes the folders that killed pilots left.
func sweepSockets(base string) { scratch.Sweep(base, socketPrefix, removeFolder) }

// removeFolder removes what can be removed; the rest is the next one's.
func removeFolder(dir string) { _ = os.RemoveAll(dir) }
