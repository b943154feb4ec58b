package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Sight is what a process looks like at a moment.
type Sight struct {
	// Stopped by a signal.
	Stopped bool
	// Exiting from the first step of its end.
	Exiting bool
	// User and System are its own time, those of Reaped the time of all below it that have ended and been waited for.
	User, System             time.Duration
	ReapedUser, ReapedSystem time.Duration
	// ResidentBytes of memory, shared memory included.
	ResidentBytes int64
}

// Look looks at a process; ok is false when it is gone.
func Look(pid int) (s Sight, ok bool) {
	st, ok := readStat(pid)
	return Sight{
		Stopped: st.state == 'T', Exiting: st.exiting, User: st.user, System: st.system, ReapedUser: st.reapedUser, ReapedSystem: st.reapedSystem,
		ResidentBytes: st.pages * int64(os.Getpagesize()),
	}, ok && st.state != 'Z'
}

// IO is how many bytes a process, and all below it that have ended and been waited for, have read and written by system calls:
// of files, also from the kernel's cache, of pipes and terminals. ok is false when it is gone, or somebody else's.
func IO(pid int) (read, written int64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, 0, false
	}
	return ioValue(b, "rchar: "), ioValue(b, "wchar: "), true
}

func ioValue(b []byte, key string) int64 {
	_, after, _ := bytes.Cut(b, []byte(key))
	line, _, _ := bytes.Cut(after, []byte{'\n'})
	n, _ := strconv.ParseInt(string(line), 10, 64)
	return n
}

// OpenFiles is how many files a process has open.
func OpenFiles(pid int) int {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = dir.Close() }()
	// The kernel says it since 6.2; before, only the list does.
	if info, err := dir.Stat(); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	names, _ := dir.Readdirnames(-1)
	return len(names)
}
