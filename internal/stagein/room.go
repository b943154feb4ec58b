package stagein

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
)

const (
	lockSuffix = ".lock"
	seenSuffix = ".seen"
	partSuffix = ".part"
	roomLock   = "room" // no key looks like this
	// forgotten is the age of what is only counted.
	forgotten = 24 * time.Hour
)

// Prepare makes the folder, which must be ours alone: in a temporary folder anybody could have made it.
func (c *Cache) Prepare() error {
	if err := os.MkdirAll(c.cfg.Dir, 0o700); err != nil {
		return site(exitcode.New(exitcode.SiteNoSpace, "making the input cache: %w", err))
	}
	info, err := os.Lstat(c.cfg.Dir)
	if err != nil {
		return site(exitcode.New(exitcode.SiteNoSpace, "looking at the input cache: %w", err))
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return site(exitcode.New(exitcode.SiteNoSpace, "the input cache %s is no folder", c.cfg.Dir))
	case !ok || int(s.Uid) != os.Geteuid():
		return site(exitcode.New(exitcode.SiteNoSpace, "the input cache %s is somebody else's", c.cfg.Dir))
	case info.Mode().Perm()&0o022 != 0:
		return site(exitcode.New(exitcode.SiteNoSpace, "the input cache %s can be written by others (mode %04o)", c.cfg.Dir, info.Mode().Perm()))
	}
	return nil
}

// site adds the next step to a fault of the folder.
func site(err error) error {
	return exitcode.WithNext(err, "set --input-cache to a folder of this user with room in it, or --input-cache-gb to another size")
}

// entry is a file in the cache, whole or not.
type entry struct {
	key  string
	size int64
	used time.Time
}

// entries are all of them, and what they take together.
func (c *Cache) entries() (list []entry, sum int64, err error) {
	names, err := os.ReadDir(c.cfg.Dir)
	if err != nil {
		return nil, 0, err
	}
	for i, n := range names {
		key, isLock := strings.CutSuffix(n.Name(), lockSuffix)
		if !isLock {
			var isSeen bool
			if key, isSeen = strings.CutSuffix(n.Name(), seenSuffix); !isSeen || i > 0 && names[i-1].Name() == key+lockSuffix {
				continue
			}
		}
		if key == roomLock {
			continue
		}
		e := entry{key: key}
		if info, err := n.Info(); err == nil {
			e.used = info.ModTime()
		}
		_ = filepath.WalkDir(filepath.Join(c.cfg.Dir, key), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // gone meanwhile
			}
			if info, err := d.Info(); err == nil {
				e.size += info.Size()
			}
			return nil
		})
		list, sum = append(list, e), sum+e.size
	}
	slices.SortFunc(list, func(a, b entry) int { return a.used.Compare(b.used) })
	return list, sum, nil
}

// reserve makes room for a file and takes it: part has its length from then on, and its blocks where the file system gives them.
// When all that could be removed is in use, it waits, or says errFull where it is not to.
func (c *Cache) reserve(ctx context.Context, key, part string, size int64, wait bool) (*os.File, error) {
	if size > c.cfg.LimitBytes {
		return nil, site(exitcode.New(exitcode.SiteNoSpace, "%d bytes are more than the input cache may hold (%d)", size, c.cfg.LimitBytes))
	}
	for {
		f, err := c.tryReserve(ctx, key, part, size)
		if !errors.Is(err, errFull) || !wait {
			return f, err
		}
		if err := pause.For(ctx, 10*lookAgain); err != nil {
			return nil, site(exitcode.New(exitcode.SiteNoSpace, "waiting for room in the input cache %s, all of which is in use: %w", c.cfg.Dir, err))
		}
	}
}

// errFull says that what fills the cache is in use.
var errFull = errors.New("the input cache is full, and all of it in use")

// tryReserve does it once.
func (c *Cache) tryReserve(ctx context.Context, key, part string, size int64) (f *os.File, err error) {
	room, err := lock(ctx, filepath.Join(c.cfg.Dir, roomLock+lockSuffix), unix.LOCK_EX)
	if err != nil {
		return nil, diskError(ctx, err)
	}
	defer unlock(room)
	list, sum, err := c.entries()
	if err != nil {
		return nil, diskError(ctx, err)
	}
	if i := slices.IndexFunc(list, func(e entry) bool { return e.key == key }); i >= 0 {
		sum -= list[i].size // what a killed one had fetched of it is written over
	}
	list = slices.DeleteFunc(list, func(e entry) bool {
		if e.key == key || sum+size <= c.cfg.LimitBytes && (e.size > 0 || time.Since(e.used) < forgotten) || !c.evict(e) {
			return false
		}
		sum -= e.size
		return true
	})
	if sum+size > c.cfg.LimitBytes {
		return nil, errFull
	}
	if f, err = os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600); err != nil {
		return nil, diskError(ctx, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(part)
			f = nil
		}
	}()
	// The disk may be full before the cache is.
	for _, e := range append([]entry{{}}, list...) {
		if e.key != "" && (e.key == key || e.size == 0 || !c.evict(e)) {
			continue
		}
		if err = unix.Fallocate(int(f.Fd()), 0, 0, max(size, 1)); !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
			break
		}
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = f.Truncate(size)
	}
	if err != nil {
		return nil, diskError(ctx, fmt.Errorf("reserving %d bytes: %w", size, err))
	}
	return f, nil
}

// evict removes a file unless somebody uses it.
func (c *Cache) evict(e entry) bool {
	path := filepath.Join(c.cfg.Dir, e.key)
	l, err := tryLock(path+lockSuffix, unix.LOCK_EX)
	if err != nil {
		return false
	}
	defer unlock(l)
	if os.RemoveAll(path) != nil {
		return false
	}
	_ = os.Remove(path + seenSuffix)
	return os.Remove(path+lockSuffix) == nil
}

// diskError is a fault of the cache's disk, or the end of ctx.
func diskError(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return site(exitcode.New(exitcode.SiteNoSpace, "the input cache: %w", err))
}
