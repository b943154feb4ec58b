package eicrecon

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
)

// start is what the shell in the image does: it sets the environment of the detector, which only a shell can, and becomes the
// reconstruction. Nothing of a slice is part of it: names come as its arguments.
const start = `set -e
setup=$1
shift
if [ ! -r "$setup" ]; then
	echo "there is no $setup" >&2
	exit 127
fi
tfpilot_args=("$@")
set --
source "$setup"
exec eicrecon "${tfpilot_args[@]}"
`

// noProgram is the status of start when there is no such version, or no reconstruction.
const noProgram = 127

// commandLine runs the reconstruction of a choice with arguments of its own. binds are the folders that it has to see.
func (p *Payload) commandLine(ch choice, binds []string, args ...string) (argv []string, err error) {
	argv = []string{"bash", "-c", start, "eicrecon", setup(p.spec.EICrecon, ch.version)}
	argv = append(append(argv, args...), "-Pjana:timeout=0", "-Pnthreads=1")
	for _, key := range slices.Sorted(maps.Keys(p.spec.EICrecon.Parameters)) {
		argv = append(argv, "-P"+key+"="+p.spec.EICrecon.Parameters[key])
	}
	if ch.image == "" {
		return argv, nil
	}
	runtime, err := containerRuntime()
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(ch.image, "/cvmfs/") {
		binds = append(binds, "/cvmfs")
	}
	container := []string{runtime, "exec"}
	for _, dir := range binds {
		container = append(container, "--bind", dir+":"+dir)
	}
	return append(append(container, ch.image), argv...), nil
}

// containerRuntime is the program that runs images.
func containerRuntime() (string, error) {
	for _, name := range []string{"singularity", "apptainer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	err := exitcode.New(exitcode.SiteNoProgram, "neither singularity nor apptainer is on PATH")
	return "", exitcode.WithNext(err, `install one, or set image = "none" in [eicrecon] where the pilot runs in the image already`)
}

// folders are those that a program has to see: where it writes, and where it reads when that is a file.
func folders(dir, input string) []string {
	binds := []string{dir}
	if filepath.IsAbs(input) {
		binds = append(binds, filepath.Dir(input))
	}
	return binds
}
