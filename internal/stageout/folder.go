package stageout

import (
	"context"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
)

// Folder is a store on a file system of this node. No link in it is followed out of it.
type Folder struct {
	// base must be there already: a file system that is not mounted is no empty folder. below is made in it.
	base, below string
	// anywhere has base made too.
	anywhere bool
}

var _ Store = Folder{}

// NewFolder is the store at a place, of which the part within base is made when it is needed. Within / is no fence: the links that
// lead to the place are followed.
func NewFolder(base, at Place) (Folder, error) {
	if base.dir == "/" {
		return Folder{base: at.dir, below: ".", anywhere: true}, nil
	}
	below, err := filepath.Rel(base.dir, at.dir)
	if err != nil || !at.Within(base) {
		return Folder{}, exitcode.New(exitcode.DataInvalid, "%s is not within %s", at, base)
	}
	return Folder{base: base.dir, below: below}, nil
}

// open opens the base; the path of a name in it is p.
func (f Folder) open(name string) (root *os.Root, p string, err error) {
	if f.anywhere {
		if err := os.MkdirAll(f.base, 0o755); err != nil {
			return nil, "", err
		}
	}
	if root, err = os.OpenRoot(f.base); errors.Is(err, fs.ErrNotExist) {
		// Not as the error of a file that is not there.
		err = exitcode.New(exitcode.OutputFailed, "there is no folder %s: is its file system mounted?", f.base)
	}
	return root, path.Join(f.below, name), settled(err)
}

// settled gives a place in the table to what is no error of the file system: a link that leads out, a file that has changed.
func settled(err error) error {
	if _, ok := errors.AsType[syscall.Errno](err); ok || err == nil || exitcode.From(err) != exitcode.Internal {
		return err
	}
	return exitcode.Wrap(exitcode.OutputFailed, err)
}

// Find reads the file for its checksum.
func (f Folder) Find(ctx context.Context, name string) (sizeBytes int64, sum string, err error) {
	root, p, err := f.open(name)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = root.Close() }()
	file, err := root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, "", settled(err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, "", errors.Join(fmt.Errorf("%s is there, and no plain file: %w", file.Name(), syscall.EISDIR), err)
	}
	h := adler32.New()
	sizeBytes, err = io.Copy(h, reader{ctx, file})
	return sizeBytes, fmt.Sprintf("%08x", h.Sum32()), err
}

// Write returns when the file is on the disk.
func (f Folder) Write(ctx context.Context, name string, from File) error {
	root, p, err := f.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.MkdirAll(path.Dir(p), 0o755); err != nil {
		return settled(err)
	}
	to, err := root.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = copyTo(ctx, to, from)
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		_ = root.Remove(p)
	}
	return settled(err)
}

// copyTo copies the content, and compares it with what was measured: a payload that stays may have changed it since.
func copyTo(ctx context.Context, to io.Writer, f File) error {
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	h := adler32.New()
	n, err := io.Copy(io.MultiWriter(to, h), reader{ctx, io.LimitReader(from, f.SizeBytes+1)})
	if err != nil {
		return err
	}
	return compare(f, n, fmt.Sprintf("%08x", h.Sum32()))
}

// compare finds a difference between what was measured and what is there; an empty checksum is none.
func compare(f File, size int64, sum string) error {
	if same(size, sum, f) {
		return nil
	}
	return fmt.Errorf("%d bytes, adler32 %s, instead of the %d bytes, adler32 %s, that were measured", size, sum, f.SizeBytes, f.Adler32)
}

// Rename is durable.
func (f Folder) Rename(_ context.Context, from, to string, replace bool) error {
	root, p, err := f.open(from)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	target := path.Join(f.below, to)
	switch {
	case replace:
		err = root.Rename(p, target)
	default:
		// A link is never made over a file that is there.
		if err = root.Link(p, target); errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EMLINK) {
			err = renameUnlessThere(root, p, target) // a file system without them
		} else if err == nil {
			err = root.Remove(p)
		}
	}
	if err != nil {
		return settled(err)
	}
	dir, err := root.Open(path.Dir(target))
	if err != nil {
		return err
	}
	_ = dir.Sync() // not on every file system
	return dir.Close()
}

func renameUnlessThere(root *os.Root, from, to string) error {
	if _, err := root.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fs.ErrExist, err)
	}
	return root.Rename(from, to)
}

// Remove removes a file.
func (f Folder) Remove(_ context.Context, name string) error {
	root, p, err := f.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := root.Remove(p); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// reader ends with a context.
type reader struct {
	ctx context.Context //nolint:containedctx // that of one call
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}
