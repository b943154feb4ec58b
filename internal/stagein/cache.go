package stagein

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/logging"
	"tfpilot/internal/rangefile"
)

// Config is where the cache lies and how it is filled.
type Config struct {
	// Dir is the cache; LimitBytes the most that it may hold.
	Dir        string
	LimitBytes int64
	// Remote opens https files.
	Remote *rangefile.Client
	// XRootD is how xrdcp is run.
	XRootD XRootD
	// Timeout bounds the fetching of one file, with all waiting (default 10 min), Patience how long no byte comes (default 1 min).
	Timeout, Patience time.Duration
	// Logger hears of what is fetched again; nil for nobody.
	Logger *slog.Logger
}

// Cache is that of a node. It may be used from several goroutines.
type Cache struct{ cfg Config }

// New makes a cache. Nothing touches its disk before something is wanted of it.
func New(cfg Config) *Cache {
	cfg.Timeout, cfg.Patience = cmp.Or(cfg.Timeout, 10*time.Minute), cmp.Or(cfg.Patience, time.Minute)
	if cfg.Logger == nil {
		cfg.Logger = logging.Discard()
	}
	return &Cache{cfg}
}

// File is what is wanted.
type File struct {
	URL string
	// SizeBytes and Adler32 are what the file has to be; 0 and empty where nobody knows.
	SizeBytes int64
	Adler32   string
}

// key names a file in the cache. Another size or checksum is another file.
func (f File) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", f.URL, f.SizeBytes, rangefile.Adler32(f.Adler32)))
	return fmt.Sprintf("%x", sum[:16])
}

// Lease is a file in the cache that stays there until it is released.
type Lease struct {
	// Path is the file on this node. It has the name that it has at home.
	Path string
	// MovedBytes came over the network for this lease; none when the file was there.
	MovedBytes int64

	cache *Cache
	key   string
	lock  *os.File
}

// Release lets the file go when its room is needed.
func (l *Lease) Release() {
	l.cache.touch(l.key)
	unlock(l.lock)
}

// Discard releases a file that turned out to be no good, so that the next one who wants it fetches it again.
func (l *Lease) Discard() {
	unlock(l.lock)
	l.cache.evict(entry{key: l.key})
}

// touch says that a file was used now.
func (c *Cache) touch(key string) {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(c.cfg.Dir, key+lockSuffix), now, now)
}

// Seen notes that a slice of this file came to the node, and returns how many did, this one included. Pilots count together.
func (c *Cache) Seen(f File) int {
	if c.Prepare() != nil {
		return 1
	}
	log, err := os.OpenFile(filepath.Join(c.cfg.Dir, f.key()+seenSuffix), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 1
	}
	defer func() { _ = log.Close() }()
	if _, err := log.WriteString("."); err != nil {
		return 1
	}
	info, err := log.Stat()
	if err != nil {
		return 1
	}
	return int(info.Size())
}

// Has says whether a file is there, or on its way.
func (c *Cache) Has(f File) bool {
	u, err := url.Parse(f.URL)
	if err != nil {
		return false
	}
	whole := c.path(f.key(), u)
	for _, p := range []string{whole, whole + partSuffix} {
		if _, err := os.Lstat(p); err == nil {
			return true
		}
	}
	return false
}

func (c *Cache) path(key string, u *url.URL) string {
	return filepath.Join(c.cfg.Dir, key, path.Base(u.Path))
}

// errGone says that a file was removed between two looks at it.
var errGone = errors.New("removed meanwhile")

// Get returns a file, which it fetches when it is not there. While another slot or pilot fetches it, it waits for that.
func (c *Cache) Get(ctx context.Context, f File) (*Lease, error) { return c.get(ctx, f, true) }

// Prefetch has a file fetched, for somebody who will want it soon. Where room could be had only by waiting it does nothing.
func (c *Cache) Prefetch(ctx context.Context, f File) error {
	l, err := c.get(ctx, f, false)
	if errors.Is(err, errFull) {
		return nil
	}
	if err == nil {
		l.Release()
	}
	return err
}

// maxName is the longest name of a file that has room for the suffix of one that is not whole.
const maxName = 255 - len(partSuffix)

// errTime is the cause of the context's end when fetching took too long.
var errTime = errors.New("the time for fetching it is over")

func (c *Cache) get(ctx context.Context, f File, wait bool) (*Lease, error) {
	u, err := rangefile.Parse(f.URL)
	if err != nil {
		return nil, err
	}
	if len(path.Base(u.Path)) > maxName {
		return nil, exitcode.New(exitcode.DataInvalid, "%s: its name has more than %d bytes, which no folder takes", rangefile.Name(u), maxName)
	}
	if err := c.Prepare(); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errTime)
	defer cancel()
	for {
		l, err := c.have(limited, f, u, wait)
		switch {
		case errors.Is(err, errGone):
			continue
		case err != nil && ctx.Err() == nil && errors.Is(err, errTime) && exitcode.From(err) == exitcode.Internal:
			return nil, exitcode.New(exitcode.DataUnreachable, "fetching %s: %w (%s)", rangefile.Name(u), err, c.cfg.Timeout)
		}
		return l, err
	}
}

// have takes the file's lock for use, fetching the file before if need be.
func (c *Cache) have(ctx context.Context, f File, u *url.URL, wait bool) (*Lease, error) {
	key := f.key()
	lockPath, whole := filepath.Join(c.cfg.Dir, key+lockSuffix), c.path(key, u)
	shared, err := lock(ctx, lockPath, unix.LOCK_SH)
	if err != nil {
		return nil, diskError(ctx, err)
	}
	l := &Lease{Path: whole, cache: c, key: key, lock: shared}
	if _, err := os.Lstat(whole); err == nil {
		c.touch(key)
		return l, nil
	}
	unlock(shared)
	alone, err := lock(ctx, lockPath, unix.LOCK_EX)
	if err != nil {
		return nil, diskError(ctx, err)
	}
	if _, err := os.Lstat(whole); err == nil {
		unlock(alone)
		return nil, errGone // it came meanwhile: from the beginning
	}
	c.touch(key)
	moved, err := c.fetch(ctx, f, u, key, wait)
	if err != nil {
		_ = os.RemoveAll(filepath.Dir(whole))
		_ = os.Remove(lockPath) // while we have it
		unlock(alone)
		return nil, err
	}
	l.MovedBytes = moved
	// To turn the lock into a shared one, the kernel gives it up first.
	if err := unix.Flock(int(alone.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		if _, err := os.Lstat(whole); err == nil {
			l.lock = alone
			return l, nil
		}
	}
	unlock(alone)
	return nil, errGone
}

// source is a remote file that is about to be fetched: what it has to be, by the slice or else by its server, and how its bytes come.
type source struct {
	name    string
	size    int64
	adler32 string
	// copyTo writes all of it to what begin opens, once more from the beginning after what may pass.
	copyTo func(ctx context.Context, begin func() (io.Writer, error)) error
}

// fetch brings the file to its place. A wrong checksum is looked at twice: it may have been the way.
func (c *Cache) fetch(ctx context.Context, f File, u *url.URL, key string, wait bool) (moved int64, err error) {
	src, err := c.open(ctx, f, u)
	if err != nil {
		return 0, err
	}
	if f.SizeBytes > 0 && src.size != f.SizeBytes {
		return 0, exitcode.New(exitcode.DataCorrupt, "%s has %d bytes, and should have %d", src.name, src.size, f.SizeBytes)
	}
	whole := c.path(key, u)
	if err := os.MkdirAll(filepath.Dir(whole), 0o700); err != nil {
		return 0, diskError(ctx, err)
	}
	for try := 1; ; try++ {
		n, err := c.fetchOnce(ctx, src, key, whole, wait)
		moved += n
		if exitcode.From(err) == exitcode.DataCorrupt && try == 1 {
			c.cfg.Logger.WarnContext(ctx, "input is fetched once more", logging.Err(err))
			continue
		}
		return moved, err
	}
}

func (c *Cache) open(ctx context.Context, f File, u *url.URL) (source, error) {
	if u.Scheme == "root" || u.Scheme == "roots" || u.Scheme == "xroot" || u.Scheme == "xroots" {
		return c.openXRootD(ctx, f, u)
	}
	remote, err := c.cfg.Remote.Open(ctx, f.URL)
	if err != nil {
		return source{}, err
	}
	sum := rangefile.Adler32(f.Adler32)
	if sum == "" {
		if sum, err = remote.Adler32(ctx); err != nil {
			return source{}, err
		}
	}
	return source{
		name: remote.Name(), size: remote.Size(), adler32: sum,
		copyTo: func(ctx context.Context, begin func() (io.Writer, error)) error {
			w, err := begin()
			if err == nil {
				_, err = remote.CopyTo(ctx, w)
			}
			return err
		},
	}, nil
}

// fetchOnce writes the file beside its place, compares it, and moves it there.
func (c *Cache) fetchOnce(ctx context.Context, src source, key, whole string, wait bool) (moved int64, err error) {
	part := whole + partSuffix
	out, err := c.reserve(ctx, key, part, src.size, wait)
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	sum, size := adler32.New(), int64(0)
	w := writerFunc(func(p []byte) (int, error) {
		moved += int64(len(p))
		if size += int64(len(p)); size > src.size {
			return 0, exitcode.New(exitcode.DataCorrupt, "%s is longer than the %d bytes that its server told of", src.name, src.size)
		}
		_, _ = sum.Write(p)
		n, err := out.Write(p)
		if err != nil {
			err = diskError(ctx, err)
		}
		return n, err
	})
	err = src.copyTo(ctx, func() (io.Writer, error) {
		size = 0
		sum.Reset()
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			return nil, diskError(ctx, err)
		}
		return w, nil
	})
	switch got := fmt.Sprintf("%08x", sum.Sum32()); {
	case err != nil:
		return moved, err
	case size != src.size:
		return moved, exitcode.New(exitcode.DataCorrupt, "%s ended after %d of %d bytes", src.name, size, src.size)
	case src.adler32 != "" && got != src.adler32:
		return moved, exitcode.New(exitcode.DataCorrupt, "%s has the checksum adler32 %s, and should have %s", src.name, got, src.adler32)
	}
	if err := out.Truncate(size); err != nil { // an empty file has had a block
		return moved, diskError(ctx, err)
	}
	// Others read it too: nobody is to write into it by mistake.
	if err := errors.Join(out.Close(), os.Chmod(part, 0o400), os.Rename(part, whole)); err != nil {
		return moved, diskError(ctx, err)
	}
	return moved, nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
