package nodetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tfpilot/internal/fitness"
)

// lowest is the priority of what gets the processor when nobody else wants it.
const lowest = 19

// Child is the whole life of a child; it returns its exit status.
func Child(argv []string, stdin io.Reader, stdout io.Writer) int {
	if len(argv) < 4 {
		return 0
	}
	kind, calm := argv[2], argv[3] == calmWord(true)
	if calm {
		// Of the whole group, which is this process alone with all its threads: a program started in its place keeps it.
		_ = unix.Setpriority(unix.PRIO_PGRP, 0, lowest)
	}
	switch kind {
	case childLook:
		return lookAround(stdin, stdout)
	case childStart:
		return start(argv[4:], stdout)
	}
	return 0
}

// start puts a program in place of this one, whose priority and limits it keeps. That it cannot be started is a finding in the
// form in which the program itself would tell one.
func start(command []string, stdout io.Writer) int {
	path, err := exec.LookPath(command[0])
	if err == nil {
		err = syscall.Exec(path, command, os.Environ())
	}
	next := "see that the file is there on this node, and what it needs"
	switch {
	case errors.Is(err, fs.ErrPermission):
		next = "chmod +x " + command[0] + ", or move it elsewhere"
	case errors.Is(err, syscall.ENOEXEC):
		next = "begin a script with a line such as #!/bin/sh; a program must be built for this machine"
	case errors.Is(err, fs.ErrNotExist) && path != "":
		next = "install the interpreter that its first line names, or the loader that it needs"
	}
	if e, ok := errors.AsType[*exec.Error](err); ok {
		err = e.Err
	}
	_ = json.NewEncoder(stdout).Encode(report{Found: "cannot be started: " + err.Error(), Next: next})
	return 1
}

// lookAround answers each question as soon as it can. One that hangs holds up no other, and the end of this process is its parent's.
func lookAround(stdin io.Reader, stdout io.Writer) int {
	var q request
	if err := json.NewDecoder(stdin).Decode(&q); err != nil {
		return 1
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	var names nameless
	names.watchTERM()
	answers := json.NewEncoder(stdout)
	ask := func(about string, look func(*answer)) {
		all.Go(func() {
			a, began := answer{About: about}, time.Now()
			look(&a)
			for i := range a.Findings {
				a.Findings[i].Seconds = time.Since(began).Seconds()
			}
			mu.Lock()
			defer mu.Unlock()
			_ = answers.Encode(a)
		})
	}
	for _, f := range q.Folders {
		ask(aboutFolder(f), func(a *answer) { a.Findings = lookAtFolder(f, q, &names) })
	}
	for _, r := range q.CVMFS {
		ask(aboutCVMFS(r), func(a *answer) { a.Findings = []fitness.Finding{lookAtCVMFS(r)} })
	}
	for _, p := range q.Programs {
		ask(aboutProgram(p), func(a *answer) {
			var err error
			if a.Paths, err = programsAt(p); err != nil {
				a.Error = err.Error()
			}
		})
	}
	if len(q.Tools) > 0 {
		ask(aboutTools, func(a *answer) {
			for _, name := range q.Tools {
				if path, err := exec.LookPath(name); err == nil {
					a.Paths = append(a.Paths, path)
				}
			}
		})
	}
	if q.Userns {
		ask(aboutUserns, func(a *answer) { a.Findings = []fitness.Finding{lookAtUserns()} })
	}
	if q.GPU {
		ask(aboutGPU, func(a *answer) { a.Findings = []fitness.Finding{lookAtGPU()} })
	}
	all.Wait()
	return 0
}

// lookAtFolder writes into a folder, or where it will be made, and asks for its room.
func lookAtFolder(f folder, q request, names *nameless) []fitness.Finding {
	where := existing(f.Path)
	dir := good(f.Path + " can be written to")
	if where != f.Path {
		dir = good(f.Path + " can be made")
	}
	if err := writeInto(names, where); err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err // the name of our file helps nobody
		}
		dir = bad(nextOfWriting(err), fmt.Sprintf("%s cannot be written to: %v", where, err))
	}
	dir.Test = f.Test
	if f.Test != testWork {
		return []fitness.Finding{dir}
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(where, &s); err != nil {
		return []fitness.Finding{dir}
	}
	free := int64(s.Bavail) * s.Bsize
	disk := good(fmt.Sprintf("%s free in %s", size(free), f.Path))
	if free < q.MinBytes {
		disk = bad("free some, or choose another --work-dir; --node-min-disk-mb is the limit",
			fmt.Sprintf("%s free in %s, %s are needed", size(free), f.Path, size(q.MinBytes)))
	}
	disk.Test = testDisk
	findings := []fitness.Finding{dir, disk}
	if s.Files == 0 {
		return findings // such a file system makes them as they are needed
	}
	inodes := good(fmt.Sprintf("%d files can be made in %s", s.Ffree, f.Path))
	if int64(s.Ffree) < q.MinInodes {
		inodes = bad("remove files, or choose another --work-dir; --node-min-inodes is the limit",
			fmt.Sprintf("%d files can be made in %s, %d are needed", s.Ffree, f.Path, q.MinInodes))
	}
	inodes.Test = testInodes
	return append(findings, inodes)
}

func writeInto(names *nameless, dir string) error {
	f, err := names.open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	text, got := []byte(strings.Repeat("tfpilot ", 512)), make([]byte, 4096)
	if _, err := f.Write(text); err != nil {
		return err
	}
	if _, err := f.ReadAt(got, 0); err != nil {
		return err
	}
	if string(got) != string(text) {
		return fmt.Errorf("what was written to %s is not what is read", dir)
	}
	return f.Close()
}

func nextOfWriting(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free the disk, or choose another folder"
	case errors.Is(err, syscall.EDQUOT):
		return "the quota is used up: free some of it, or choose another folder"
	case errors.Is(err, fs.ErrPermission):
		return "give the pilot's user the right to write there, or choose another folder"
	case errors.Is(err, syscall.EROFS):
		return "the disk is mounted read-only, mostly after an error: look at dmesg"
	}
	return "choose a folder that this node can write to"
}

// existing is the first folder on the way up that is there.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

func lookAtCVMFS(repository string) fitness.Finding {
	path := cvmfsPath(repository)
	dir, err := os.Open(path)
	if err == nil {
		defer func() { _ = dir.Close() }()
		_, err = dir.Readdirnames(1)
	}
	f := good(path + " is there")
	switch {
	case errors.Is(err, io.EOF):
		f = bad("mount the repository on this node", path+" is empty: it is not mounted")
	case err != nil:
		f = bad("mount the repository on this node, or look at its CVMFS client", err.Error())
	}
	f.Test = testCVMFS
	return f
}

// programsAt is the program, or all that are in the folder, in the order of their names. What is hidden, or an editor's backup, is
// none; anything else is, so that a test that lost its x is noticed.
func programsAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~") {
			list = append(list, filepath.Join(path, name))
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is an empty folder", path)
	}
	return list, nil
}

// lookAtUserns makes a user namespace.
func lookAtUserns() fitness.Finding {
	mapped := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	p, err := os.StartProcess(self, []string{self, Command, childNone, calmWord(false)}, &os.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: mapped},
	})
	if err == nil {
		_, err = p.Wait()
	}
	f := good("user namespaces can be made")
	if err != nil {
		f = bad("allow them: kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, and no AppArmor restriction", "no user namespace can be made: "+err.Error())
	}
	f.Test = testUserns
	return f
}

// lookAtGPU counts the devices of GPUs.
func lookAtGPU() fitness.Finding {
	devices, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is right
	f := good(plural(len(devices), "device") + ": " + strings.Join(devices, " "))
	if len(devices) == 0 {
		f = bad("take the node out of the queue of GPUs, or see to its driver", "no GPU: no /dev/nvidia0")
	}
	f.Test = testGPU
	return f
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 10<<30:
		return fmt.Sprintf("%d GiB", bytes>>30)
	case bytes >= 1<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	default:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
