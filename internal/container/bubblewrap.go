package container

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is what an unpacked root, which says nothing of its own, is searched by.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ofHost are files of the node that make names of hosts and users mean something inside, for images that have such files. Making a place
// for them would take /etc apart, and every mount takes its time.
var ofHost = []string{"/etc/resolv.conf", "/etc/hosts", "/etc/passwd", "/etc/group"}

// bubblewrapLine makes no process namespace: a keeper holds the processes together, its /proc is the right one, and where it may not be
// mounted again it need not be. Nor does bwrap kill what is inside when it gets a signal itself: that has its grace.
func bubblewrapLine(l *launch) error {
	binds := slices.Clone(l.binds)
	for _, file := range ofHost {
		if info, err := os.Lstat(filepath.Join(l.image.ref, file)); err == nil && info.Mode().IsRegular() && there(file) {
			binds = append(binds, Bind{Source: file, Target: file})
		}
	}
	scratch := []string{within(l.image.ref, "/tmp"), within(l.image.ref, "/var/tmp")}
	targets := append([]string{"/proc", "/dev", "/sys"}, scratch...)
	for i := range binds {
		binds[i].Target = within(l.image.ref, binds[i].Target)
		targets = append(targets, binds[i].Target)
	}
	l.add("--unshare-ipc")
	if l.spec.Network == networkNone {
		l.add("--unshare-net")
	}
	made := underlay(l.image.ref, targets)
	for _, m := range made {
		l.make(m)
	}
	l.add("--bind", "/proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys", "/sys")
	for _, dir := range scratch {
		l.add("--size", strconv.Itoa(tmpSize), "--perms", "1777", "--tmpfs", dir)
	}
	for _, b := range binds {
		l.add(map[bool]string{true: "--bind", false: "--ro-bind"}[b.Write], b.Source, b.Target)
	}
	for _, m := range made {
		l.add("--remount-ro", m.dir)
	}
	l.add("--chdir", l.dir)
	l.add(l.spec.Options...)
	l.end("--")
	// bwrap needs nothing for itself, and LD_LIBRARY_PATH of the program names libraries that bwrap is not to load.
	l.outside = append([]string{defaultPath}, packed(l.env)...)
	return nil
}

// layer is a folder of the root that is made anew, with all that is in it bound one by one, but for what is in the way.
type layer struct {
	dir     string
	without []string
}

// underlay finds the layers by which every target has a place to be bound to, although nothing can be made in the root itself. The
// first one is the root's own, since it is there that most are missing.
func underlay(root string, targets []string) []layer {
	made := []layer{{dir: "/", without: []string{"/proc", "/dev", "/sys"}}}
	for _, target := range targets {
		if slices.ContainsFunc(targets, func(outer string) bool { return strings.HasPrefix(target, outer+"/") }) {
			continue // it lies in what is bound, or in what is new
		}
		for dir := "/"; dir != target; {
			child := path.Join(dir, firstBelow(dir, target))
			info, err := os.Lstat(filepath.Join(root, child))
			if err == nil && info.Mode()&os.ModeSymlink == 0 {
				dir = child
				continue
			}
			at := slices.IndexFunc(made, func(m layer) bool { return m.dir == dir })
			if at < 0 {
				at, made = len(made), append(made, layer{dir: dir})
			}
			made[at].without = append(made[at].without, child)
			break
		}
	}
	slices.SortStableFunc(made[1:], func(a, b layer) int { return strings.Count(a.dir, "/") - strings.Count(b.dir, "/") })
	return made
}

// make puts a layer on the command line, symbolic links as such.
func (l *launch) make(m layer) {
	if m.dir != "/" {
		l.add("--tmpfs", m.dir)
	}
	entries, _ := os.ReadDir(filepath.Join(l.image.ref, m.dir)) // what cannot be read cannot be used inside either
	for _, e := range entries {
		inside := path.Join(m.dir, e.Name())
		outside := filepath.Join(l.image.ref, inside)
		switch to, err := os.Readlink(outside); {
		case slices.Contains(m.without, inside):
		case err == nil:
			l.add("--symlink", to, inside)
		default:
			l.add("--ro-bind", outside, inside)
		}
	}
}

// firstBelow is the first element of target below dir.
func firstBelow(dir, target string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(target, dir), "/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// mostLinks of a path, as the kernel has it.
const mostLinks = 40

// within is where a path leads inside a root: symbolic links on the way are those of the root.
func within(root, target string) string {
	links := 0
	done, rest := "/", strings.Split(strings.Trim(path.Clean(target), "/"), "/")
	for len(rest) > 0 {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		to, err := os.Readlink(filepath.Join(root, next))
		if err != nil || len(rest) == 0 || links == mostLinks {
			done = next
			continue
		}
		links++
		if path.IsAbs(to) {
			done = "/"
		}
		rest = append(strings.Split(strings.Trim(path.Clean(to), "/"), "/"), rest...)
	}
	return done
}
