package container_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/proc"
)

func TestContradictionsInTheTableAreAllNamed(t *testing.T) {
	t.Parallel()
	err := container.Spec{
		Runtime: "rocket", Options: []string{"-x"}, Binds: []string{"data:/data", "/:/", "/a:/b:maybe"}, Network: "fast", GPU: "big",
	}.Validate()
	for _, want := range []string{`runtime "rocket"`, "image is missing", `"data:/data"`, "hide the image", `"/a:/b:maybe"`, `network "fast"`, `gpu "big"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if err := (container.Spec{Image: "debian:12", Options: []string{"--ulimit"}}).Validate(); err == nil || !strings.Contains(err.Error(), "options") {
		t.Errorf("options of no runtime: %v", err)
	}
	if err := (container.Spec{Image: "/images/a.sif", Binds: []string{"/data", "/a:/b", "/a:/b:ro"}, Network: "none", GPU: "nvidia"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestTheFirstRuntimeThatIsThereAndTakesTheImageIsUsed(t *testing.T) {
	t.Parallel()
	sif := filepath.Join(t.TempDir(), "a.sif")
	if err := os.WriteFile(sif, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	folder := root(t)
	for _, c := range []struct {
		there, image string
		want         container.Runtime
		why          string
	}{
		{"apptainer singularity podman docker bwrap", folder, container.Apptainer, ""},
		{"singularity podman", sif, container.Singularity, "apptainer is not installed"},
		{"bwrap podman docker", folder, container.Bubblewrap, "apptainer is not installed; singularity is not installed"},
		{"bwrap podman docker", "debian:12", container.Podman, "bubblewrap takes no image by name"},
		{"bwrap docker", "docker://debian:12", container.Docker, "podman is not installed"},
		{"podman", folder, container.Podman, "bubblewrap is not installed"},
	} {
		env := runtimes(t, strings.Fields(c.there)...)
		got, err := container.New(container.Spec{Image: c.image}, container.Place{Env: env})
		if err != nil {
			t.Errorf("%s of %s: %v", c.image, c.there, err)
			continue
		}
		if got.Runtime() != c.want || !strings.Contains(got.Why(), c.why) {
			t.Errorf("%s of %s: %s (%s), want %s (%s)", c.image, c.there, got.Runtime(), got.Why(), c.want, c.why)
		}
	}
}

func TestWhatIsMissingIsAFailureOfTheSiteBeforeAnythingIsStarted(t *testing.T) {
	t.Parallel()
	env := runtimes(t, "podman")
	file := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spec container.Spec
		want []string
	}{
		"runtime":        {container.Spec{Runtime: container.Apptainer, Image: "docker://debian:12"}, []string{"Apptainer is not installed"}},
		"any that fits":  {container.Spec{Image: file}, []string{"Apptainer is not installed", "podman takes no image file"}},
		"image":          {container.Spec{Image: "/cvmfs/nowhere/eic_xl:nightly"}, []string{"/cvmfs/nowhere/eic_xl:nightly", "no such file"}},
		"root in folder": {container.Spec{Image: t.TempDir()}, []string{"no unpacked root"}},
		"wrong kind":     {container.Spec{Runtime: container.Podman, Image: file}, []string{"podman takes no image file"}},
	} {
		_, err := container.New(c.spec, container.Place{Env: env})
		if exitcode.From(err) != exitcode.SiteContainer || exitcode.Next(err) == "" {
			t.Errorf("%s: %v, %s: next %q", name, err, exitcode.From(err).Name, exitcode.Next(err))
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
	}
}

func TestARelativeImageIsLookedForBesideThePayload(t *testing.T) {
	t.Parallel()
	env := runtimes(t, "apptainer")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.sif"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"./own.sif", "own.sif"} {
		c, err := container.New(container.Spec{Image: ref}, container.Place{Dir: dir, Env: env})
		if err != nil || c.String() != "apptainer "+filepath.Join(dir, "own.sif") {
			t.Errorf("%s: %v, %v", ref, c, err)
		}
	}
}

func TestAProgramRunsInsideWithItsEnvironmentStreamsAndStatus(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"apptainer", "podman"} {
		env := append(runtimes(t, runtime), "TAKEN=outside", "HOME=/outside")
		c, err := container.New(container.Spec{Image: "docker://debian:12"}, container.Place{Env: env})
		if err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr, err := enter(t, c, proc.Command{
			Path: "/bin/sh", Args: []string{"-c", `echo out "$MINE" "$TAKEN" "$LANG"; echo err >&2; exit 7`}, Dir: t.TempDir(),
			Env: []string{"MINE=a 'b\"\nc", "LANG=C", "LANG=D"},
		})
		if status != 7 || stdout != "out a 'b\"\nc  D\n" || stderr != "err\n" || err != nil {
			t.Errorf("%s: status %d, stdout %q, stderr %q, error %v", runtime, status, stdout, stderr, err)
		}
	}
}

func TestAShellHasItsStreamsAndHearsNoWordOfTheEntry(t *testing.T) {
	t.Parallel()
	for _, runtime := range []string{"apptainer", "podman"} {
		c, err := container.New(container.Spec{Image: "docker://debian:12"}, container.Place{Env: runtimes(t, runtime)})
		if err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		cmd, err := c.Shell(proc.Command{
			Path: "/bin/sh", Args: []string{"-c", `read line; echo "$line $MINE"`}, Dir: t.TempDir(), Env: []string{"MINE=mine"}, Stdin: strings.NewReader("typed\n"), Stdout: &out, Stderr: &errs,
		})
		if err == nil {
			_, err = run(t.Context(), cmd)
		}
		if err != nil || out.String() != "typed mine\n" || errs.String() != "INFO:    a word of the runtime\n" {
			t.Errorf("%s: %q, %q, %v", runtime, out.String(), errs.String(), err)
		}
	}
}

func TestTheFirstProcessOfANamespacePassesOnSignalsAndHowTheProgramEnded(t *testing.T) {
	t.Parallel()
	c, err := container.New(container.Spec{Image: "debian:12"}, container.Place{Env: runtimes(t, "podman")})
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]proc.Result{
		"kill -SEGV $$": {ExitCode: -1, Signal: "segmentation fault"},
		// Its parent is the entry; what is left to that is not taken for the program.
		`(exit 3) & trap "wait; exit 9" USR1; kill -USR1 $PPID; while :; do sleep 0.01; done`: {ExitCode: 9},
	} {
		s, err := c.Start(proc.Command{Path: "/bin/sh", Args: []string{"-c", script}, Dir: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := run(t.Context(), s.Command); got != want || err != nil {
			t.Errorf("%s: %+v, %v", script, got, err)
		}
	}
}

func TestAProgramThatTheImageLacksIsNoFailureOfItsOwn(t *testing.T) {
	t.Parallel()
	env := runtimes(t, "apptainer")
	c, err := container.New(container.Spec{Image: root(t)}, container.Place{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/no/such/interpreter\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	for program, want := range map[string]string{"no-such-program": "no-such-program", script: "interpreter"} {
		_, _, stderr, err := enter(t, c, proc.Command{Path: program, Dir: dir})
		if exitcode.From(err) != exitcode.SiteNoProgram || !strings.Contains(err.Error(), want) || !strings.Contains(exitcode.Next(err), "image") {
			t.Errorf("%s: %v, next %q", program, err, exitcode.Next(err))
		}
		if strings.Contains(stderr, "failed") {
			t.Errorf("the word of the entry is in stderr: %q", stderr)
		}
	}
}

func TestWhatTheRuntimeSaysIsToldFromWhatTheProgramSays(t *testing.T) {
	t.Parallel()
	for message, next := range map[string]string{
		"FATAL:   could not open image /x.sif: failed to retrieve path for /x.sif: lstat /x.sif: no such file or directory":                                 "bound is not there",
		"\x1b[31mERROR  : Failed to create user namespace: user namespace disabled\x1b[0m":                                                                  "max_user_namespaces",
		"FATAL:   container creation failed: mount hook function failure: mount /data->/data error: while mounting /data: mount source /data doesn't exist": "compare container.binds",
		"FATAL:   Unable to handle docker://x uri: failed to get checksum for docker://x: pinging container registry x: dial tcp":                           "registry",
		"docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\nSee 'docker run --help'.":               "daemon",
		"FATAL:   container creation failed: failed to mount /image: kernel does not know squashfs":                                                         "/dev/fuse",
	} {
		env := runtimes(t, "apptainer")
		env = append(env, "APPTAINER_MESSAGE=INFO:    converting\n"+message)
		c, err := container.New(container.Spec{Image: "docker://x"}, container.Place{Env: env})
		if err != nil {
			t.Fatal(err)
		}
		_, _, stderr, err := enter(t, c, proc.Command{Path: "true", Dir: t.TempDir()})
		if exitcode.From(err) != exitcode.SiteContainer || !strings.Contains(exitcode.Next(err), next) {
			t.Errorf("%q: %v, next %q, want %q", message, err, exitcode.Next(err), next)
		}
		if err != nil && (strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "converting") || strings.Contains(err.Error(), "See '")) {
			t.Errorf("%q became %q", message, err)
		}
		if !strings.Contains(stderr, message) {
			t.Errorf("stderr %q has not what the runtime said", stderr)
		}
	}
}

func TestTryGivesUpRuntimesThatDoNotWork(t *testing.T) {
	t.Parallel()
	env := runtimes(t, "apptainer", "singularity") // the second one has another name for its variables, and fails by that
	broken := slices.Concat(env, []string{"APPTAINER_MESSAGE=FATAL:   Failed to create user namespace"})
	c, err := container.New(container.Spec{Image: root(t)}, container.Place{Env: broken})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Try(t.Context(), t.TempDir(), run)
	if c.Runtime() != container.Singularity || !strings.Contains(c.Why(), "apptainer does not work") {
		t.Errorf("%s is used: %s", c.Runtime(), c.Why())
	}
	if exitcode.From(err) != exitcode.SiteContainer || !strings.Contains(err.Error(), "apptainer does not work") {
		t.Errorf("none of them works: %v", err)
	}
	if c, err = container.New(container.Spec{Image: root(t)}, container.Place{Env: env}); err == nil {
		err = c.Try(t.Context(), t.TempDir(), run)
	}
	if err != nil || c.Runtime() != container.Apptainer || c.Why() != "" {
		t.Errorf("%s, %s, %v", c.Runtime(), c.Why(), err)
	}
	none := errors.New("no process to be had")
	if err := c.Try(t.Context(), t.TempDir(), failing(none)); !errors.Is(err, none) {
		t.Error(err)
	}
}
