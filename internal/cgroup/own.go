package cgroup

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// hierarchies are the folders of one group in each hierarchy that we can use; empty where there is none.
type hierarchies struct {
	unified string // v2
	memory  string // v1
	freezer string // v1
}

// all are those that there are. The one that stands first is the one that is locked.
func (h hierarchies) all() []string {
	var dirs []string
	for _, dir := range []string{h.unified, h.memory, h.freezer} {
		if dir != "" {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// below are the folders of a group inside.
func (h hierarchies) below(name string) hierarchies {
	for _, dir := range []*string{&h.unified, &h.memory, &h.freezer} {
		if *dir != "" {
			*dir = filepath.Join(*dir, name)
		}
	}
	return h
}

// own finds the group that this process is in.
func own() hierarchies {
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return hierarchies{}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return hierarchies{}
	}
	return find(membership, mounts)
}

// find brings /proc/self/cgroup and /proc/self/mountinfo together. A mount may show a part of its hierarchy only, as in a
// container: what is outside of it is not ours to use.
func find(membership, mounts []byte) hierarchies {
	paths := map[string]string{} // controller, or "" for v2, to path
	for line := range lines(membership) {
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(f[1], ",") {
			paths[controller] = f[2]
		}
	}
	var h hierarchies
	for line := range lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		f, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(kind) < 3 {
			continue
		}
		root, point := f[3], f[4]
		in := func(controller string) string {
			path, ok := paths[controller]
			rest, below := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
			if !ok || !below || (rest != "" && rest[0] != '/') {
				return ""
			}
			return filepath.Join(point, rest)
		}
		switch kind[0] {
		case "cgroup2":
			h.unified = in("")
		case "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				switch option {
				case "memory":
					h.memory = in("memory")
				case "freezer":
					h.freezer = in("freezer")
				}
			}
		}
	}
	return h
}

func lines(b []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan() && yield(s.Text()); {
		}
	}
}

// oomKills is how many processes of a group the kernel has killed because there was no memory, since the group is there.
func (h hierarchies) oomKills() int64 {
	if h.memory != "" {
		return value(filepath.Join(h.memory, "memory.oom_control"), "oom_kill")
	}
	if h.unified != "" {
		return value(filepath.Join(h.unified, "memory.events"), "oom_kill")
	}
	return 0
}

// value reads one of the "key number" lines of a file, 0 when it is not there.
func value(file, key string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range lines(b) {
		if rest, ok := strings.CutPrefix(line, key+" "); ok {
			n, _ := strconv.ParseInt(rest, 10, 64)
			return n
		}
	}
	return 0
}

// OwnOOMKills is how many processes the kernel has killed for want of memory in the group that this process is in: the slot's,
// in a batch system that makes one.
func OwnOOMKills() int64 { return place().oomKills() }
