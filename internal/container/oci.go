package container

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tmpSize of /tmp and /var/tmp, in which memory is taken that nobody accounts for. It is what Apptainer gives.
const tmpSize = 64 << 20

// podmanLine makes no control group: the program stays in that of its keeper, which counts and limits it.
func podmanLine(l *launch) error {
	l.add("run", "--rm", "--cgroups=disabled", "--log-driver=none", "--security-opt=label=disable")
	if os.Geteuid() != 0 {
		l.add("--userns=keep-id")
	}
	if l.image.kind == imageFolder {
		return l.oci("--rootfs", l.image.ref+":O")
	}
	return l.oci(strings.TrimPrefix(l.image.ref, "docker://"))
}

// dockerLine asks a daemon, whose containers are no descendants of ours: only it can hold them to a limit.
func dockerLine(l *launch) error {
	l.add("run", "--rm", "--user", fmt.Sprintf("%d:%d", os.Geteuid(), os.Getegid()))
	if l.memory > 0 {
		limit := strconv.FormatInt(l.memory, 10)
		l.add("--memory", limit, "--memory-swap", limit)
	}
	return l.oci(strings.TrimPrefix(l.image.ref, "docker://"))
}

// oci is what podman and docker have in common.
func (l *launch) oci(image ...string) error {
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); l.terminal && err == nil {
		l.add("--tty")
	}
	l.first = true
	l.add("--interactive", "--name", l.name, "--network", cmp.Or(l.spec.Network, networkHost), "--read-only", "--workdir", l.dir)
	for _, dir := range []string{"/tmp", "/var/tmp"} {
		l.add("--tmpfs", fmt.Sprintf("%s:rw,nosuid,nodev,mode=1777,size=%d", dir, tmpSize))
	}
	for _, b := range l.binds {
		mount, err := mountField(b, "target", "readonly")
		if err != nil {
			return err
		}
		l.add("--mount", mount)
	}
	l.add(l.current().gpu[l.spec.GPU]...)
	for _, v := range packed(l.env) {
		// Without a value it is taken from the environment of the client, where nobody else can read it.
		key, _, _ := strings.Cut(v, "=")
		l.add("--env", key)
		l.outside = append(l.outside, v)
	}
	l.add(l.spec.Options...)
	program := l.program()
	l.add("--entrypoint", program[0])
	l.add(image...)
	l.add(program[1:]...)
	return nil
}
