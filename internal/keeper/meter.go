package keeper

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tfpilot/internal/proc"
)

// Usage is what the processes of a program took together, those that have ended included.
type Usage struct {
	User, System time.Duration
	// ReadBytes and WrittenBytes went through system calls that read and write: of files, also from the kernel's cache, and of
	// pipes. What is mapped into memory, and what comes by recv, is not among them.
	ReadBytes, WrittenBytes int64
	// PeakBytes is the most memory that they held together, Processes how many there were at once; both as far as was seen.
	PeakBytes int64
	Processes int
	// Ran is the time in which they could run, see Limits.Time.
	Ran time.Duration
}

// CPU is all time of processors.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// doubt is the part of the memory that may have come or gone before what is shared of it is looked at again.
const doubt = 16

// Meter tells what a program takes while it runs, when it is put into its [Limits]. A zero Meter is ready; it is of one program at
// a time, and may be used from several goroutines.
type Meter struct {
	mu sync.Mutex
	metered
}

// metered is what a meter knows of its program.
type metered struct {
	keeper int // 0 when nothing runs
	looked time.Time
	lapped time.Time // when a lap was last counted
	pids   []int     // at the last look
	before Usage     // what the keeper had reaped before the program
	total  Usage     // since the start
	lap    Usage     // total at the last lap, but for the peaks, which are those since
	held   int64     // memory at the last look
	limit  int64     // of it; 0 for none
	// Of all processes, when the proportional one was asked for.
	resident, proportional int64
}

// Seen is what the program had taken when it was last looked at, up to a second ago.
func (m *Meter) Seen() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total
}

// Held is how much memory the processes hold now.
func (m *Meter) Held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keeper != 0 {
		m.measure()
	}
	return m.held
}

// Lap is what the program has taken since the lap before, or its start. One shorter than a tenth of a second is not looked at but for
// the time and the bytes of the processes that are known: looking at everything would take longer than short work. Those that have
// begun since show at the next look, or when they have ended. One shorter than the kernel's own measure of CPU time is not looked at at
// all: the next one has what it took.
func (m *Meter) Lap() Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.keeper == 0:
	case time.Since(m.lapped) < proc.Tick:
		return Usage{PeakBytes: m.held, Processes: len(m.pids)}
	case time.Since(m.looked) >= firstLook:
		m.measure()
	default:
		if len(m.pids) == 0 {
			m.pids = proc.Children(m.keeper)
		}
		m.count()
	}
	lap := Usage{
		User: m.total.User - m.lap.User, System: m.total.System - m.lap.System,
		ReadBytes: m.total.ReadBytes - m.lap.ReadBytes, WrittenBytes: m.total.WrittenBytes - m.lap.WrittenBytes,
		PeakBytes: m.lap.PeakBytes, Processes: m.lap.Processes, Ran: m.total.Ran - m.lap.Ran,
	}
	m.lapped, m.lap = time.Now(), m.total
	m.lap.PeakBytes, m.lap.Processes = m.held, len(m.pids)
	return lap
}

// OpenFiles is how many files the processes have open now.
func (m *Meter) OpenFiles() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, pid := range m.pids {
		n += proc.OpenFiles(pid)
	}
	return n
}

// start begins with a program that a keeper is about to start.
func (m *Meter) start(keeper int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.metered = metered{keeper: keeper, looked: time.Now(), before: reaped(keeper)}
}

// look finds the processes and measures them: the memory that they hold, of which there may be a limit, and how many they are.
func (m *Meter) look(limit int64) (held int64, processes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = limit
	m.measure()
	return m.held, len(m.pids)
}

func (m *Meter) measure() {
	m.looked, m.pids = time.Now(), proc.Descendants(m.keeper)
	resident := m.count()
	// What is shared counts for each in resident sizes, once in proportional ones. These take the kernel a walk through all pages.
	// So they are asked for only now and then on the way to a new peak, and before a limit is said to be passed; what came in between
	// is taken for memory that is not shared.
	m.held = min(resident, max(0, m.proportional+resident-m.resident))
	far := resident-m.resident > m.resident/doubt || m.resident-resident > m.resident/doubt
	if resident > m.lap.PeakBytes && far || m.limit > 0 && m.held > m.limit {
		m.resident, m.proportional = resident, proportional(m.pids, resident)
		m.held = m.proportional
	}
	for _, u := range []*Usage{&m.total, &m.lap} {
		u.PeakBytes, u.Processes = max(u.PeakBytes, m.held), max(u.Processes, len(m.pids))
	}
}

// count brings time and bytes up to date. Of a process that ends meanwhile they are counted twice, or not yet: what was counted once
// does not become less.
func (m *Meter) count() (resident int64) {
	now := reaped(m.keeper)
	now.User, now.System = now.User-m.before.User, now.System-m.before.System
	now.ReadBytes, now.WrittenBytes = now.ReadBytes-m.before.ReadBytes, now.WrittenBytes-m.before.WrittenBytes
	for _, pid := range m.pids {
		s, ok := proc.Look(pid)
		if !ok {
			continue
		}
		resident += s.ResidentBytes
		now.User += s.User + s.ReapedUser
		now.System += s.System + s.ReapedSystem
		read, written, _ := proc.IO(pid)
		now.ReadBytes += read
		now.WrittenBytes += written
	}
	m.total.atLeast(now)
	return resident
}

// atLeast raises times and bytes to those of another.
func (u *Usage) atLeast(v Usage) {
	u.User, u.System = max(u.User, v.User), max(u.System, v.System)
	u.ReadBytes, u.WrittenBytes = max(u.ReadBytes, v.ReadBytes), max(u.WrittenBytes, v.WrittenBytes)
}

// reaped is what a keeper has waited for, with the little that it has read and written itself.
func reaped(keeper int) (u Usage) {
	s, _ := proc.Look(keeper)
	u.User, u.System = s.ReapedUser, s.ReapedSystem
	u.ReadBytes, u.WrittenBytes, _ = proc.IO(keeper)
	return u
}

// ran notes how long the program could run so far.
func (m *Meter) ran(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total.Ran = d
}

// end ends with the program, of which the keeper knows what it has taken.
func (m *Meter) end(known Usage) Usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keeper, m.pids = 0, nil
	m.total.atLeast(known)
	return m.total
}

// proportional is the sum of proportional set sizes; resident when the kernel does not tell them.
func proportional(pids []int, resident int64) int64 {
	var sum int64
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			if _, gone := os.Stat(fmt.Sprintf("/proc/%d", pid)); gone != nil {
				continue
			}
			return resident
		}
		_, after, ok := bytes.Cut(b, []byte("\nPss:"))
		f := strings.Fields(string(after[:min(len(after), 40)]))
		if !ok || len(f) == 0 {
			continue // a process that has no memory any more
		}
		kB, _ := strconv.ParseInt(f[0], 10, 64)
		sum += kB << 10
	}
	return sum
}
