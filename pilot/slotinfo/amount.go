package slotinfo

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"tfpilot/internal/document"
)

// amount is how much of something there is, by one source.
type amount struct {
	n      int64
	source string
}

// smallest is the index of the smallest amount, -1 for none.
func smallest(list []amount) int {
	best := -1
	for i, a := range list {
		if best < 0 || a.n < list[best].n {
			best = i
		}
	}
	return best
}

// facts are all amounts of one thing, of which the smallest counts.
func facts(name string, list []amount, text func(int64) string) []document.SlotFact {
	var out []document.SlotFact
	best := smallest(list)
	for i, a := range list {
		out = append(out, document.SlotFact{Name: name, Value: text(a.n), Source: a.source, Counts: i == best})
	}
	return out
}

func coresText(n int64) string  { return strconv.FormatInt(n, 10) }
func memoryText(n int64) string { return fmt.Sprintf("%d MB", n/mega) }

const mega = 1 << 20

// whole is a whole number above 0 in text; ok is false for anything else.
func whole(text string) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n, err == nil && n > 0
}

// nodeCores and nodeMemory are what the kernel lets this process have, whatever the batch system says.
func (m Machine) nodeCores() []amount {
	var out []amount
	if n := m.Affinity(); n > 0 {
		out = append(out, amount{int64(n), "sched_getaffinity"})
	}
	for _, g := range m.groups() {
		if cores, ok := g.cores(); ok {
			// Half a core is used by a whole thread.
			out = append(out, amount{max(int64(cores), 1), g.source("cpu")})
		}
	}
	return out
}

func (m Machine) nodeMemory() []amount {
	var out []amount
	for line := range strings.Lines(m.read("/proc/meminfo")) {
		if text, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			if n, ok := whole(strings.TrimSuffix(strings.TrimSpace(text), " kB")); ok {
				out = append(out, amount{n << 10, "/proc/meminfo MemTotal, the whole node"})
			}
		}
	}
	for _, g := range m.groups() {
		if n, ok := g.memory(); ok {
			out = append(out, amount{n, g.source("memory")})
		}
	}
	return out
}

// group is a control group that this process is in, or one that holds such a group: the limits of all of them count.
type group struct {
	m       Machine
	folder  string // below /sys/fs/cgroup
	version int
}

// source is the file in which a limit stands.
func (g group) source(controller string) string {
	file := map[string]string{"cpu": "cpu.max", "memory": "memory.max"}[controller]
	if g.version == 1 {
		file = map[string]string{"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes"}[controller]
	}
	return fmt.Sprintf("cgroup v%d %s", g.version, path.Join(g.folder, file))
}

func (g group) file(name string) string { return g.m.read(path.Join("/sys/fs/cgroup", g.folder, name)) }

// cores is the quota in cores.
func (g group) cores() (float64, bool) {
	quota, period, _ := strings.Cut(g.file("cpu.max"), " ")
	if g.version == 1 {
		quota, period = g.file("cpu.cfs_quota_us"), g.file("cpu.cfs_period_us")
	}
	q, ok := whole(quota) // "max", or -1, is none
	p, okay := whole(period)
	return float64(q) / float64(p), ok && okay
}

// memory is the limit in bytes.
func (g group) memory() (int64, bool) {
	text := g.file("memory.max")
	if g.version == 1 {
		text = g.file("memory.limit_in_bytes")
	}
	n, ok := whole(text)
	return n, ok && n < math.MaxInt64/2 // version 1 says "none" by a number that is as large as it gets
}

// groups are all groups of this process, inner ones first.
func (m Machine) groups() []group {
	var out []group
	for line := range strings.Lines(m.read("/proc/self/cgroup")) {
		// "0::/path" is of version 2, "4:memory:/path" of version 1.
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		version, mounts := 1, []string{f[1]}
		if f[1] == "" {
			version, mounts = 2, []string{"", "unified"}
		} else if !strings.Contains(","+f[1]+",", ",cpu,") && !strings.Contains(","+f[1]+",", ",memory,") {
			continue
		}
		for _, mount := range mounts {
			// A namespace, or a mount of a part of the tree, may hide the path, not what lies above it.
			for dir := path.Clean("/" + f[2]); ; dir = path.Dir(dir) {
				out = append(out, group{m, path.Join("/", mount, dir), version})
				if dir == "/" {
					break
				}
			}
		}
	}
	return out
}
