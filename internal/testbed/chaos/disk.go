package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diskBytes is the size of the pilots' disk.
const diskBytes = 16 << 20

// mount gives the pilots a small disk of their own for work and journal, so that it can be filled without harm. The error says
// why that is not possible; then they have a plain folder.
func (c *chaos) mount() (dir string, err error) {
	dir = c.chain.Path("work")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return dir, err
	}
	if err := syscall.Mount("tfpilot-chaos", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d,mode=700", diskBytes)); err != nil {
		return dir, fmt.Errorf("mounting a small file system: %w", err)
	}
	return dir, nil
}

// unmount takes the disk away; MNT_DETACH, because a process that is just ending may stand in it.
func (c *chaos) unmount() {
	if c.work != "" && c.full == nil {
		_ = syscall.Unmount(c.work, syscall.MNT_DETACH)
	}
}

// fillDisk leaves no byte on the pilots' disk for a while.
func (c *chaos) fillDisk(ctx context.Context) error {
	ballast := filepath.Join(c.work, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return fmt.Errorf("filling the disk: %w", err)
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(ballast)) }() // the folder is taken away at the end in any case
	until := time.Now().Add(3 * time.Second)
	block := make([]byte, 1<<16)
	for size := len(block); time.Now().Before(until); {
		// Smaller and smaller, until the last byte is gone, and again when somebody has freed one.
		switch _, err := f.Write(block[:size]); {
		case err == nil:
		case !errors.Is(err, syscall.ENOSPC):
			return fmt.Errorf("filling the disk: %w", err)
		case size > 1:
			size /= 2
		default:
			if err := last(ctx, 20*time.Millisecond); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil
			}
		}
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			return fmt.Errorf("filling the disk: %w", err)
		}
	}
	return nil
}
