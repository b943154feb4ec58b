//go:build integration

package container_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tfpilot/internal/container"
	"tfpilot/internal/proc"
)

// inPlace is the environment in which the runtimes of scripts/containers.sh are found, and the image there.
func inPlace(t *testing.T) (env []string, image string) {
	t.Helper()
	dir := os.Getenv("TFPILOT_TEST_CONTAINERS")
	switch {
	case dir == "" && os.Getenv("REQUIRE_SERVICES") == "1":
		t.Fatal("TFPILOT_TEST_CONTAINERS is not set, and REQUIRE_SERVICES=1")
	case dir == "":
		t.Skip("set TFPILOT_TEST_CONTAINERS to what scripts/containers.sh prints")
	}
	env = append(os.Environ(), "SECRET_TOKEN=the-secret", "APPTAINERENV_LEAK=the-secret")
	return append(env, "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")), filepath.Join(dir, "debian", "root")
}

// look prints what a program finds inside.
const look = `
echo version $(cat /etc/debian_version)
echo user $(id -u):$(id -g)
echo here $PWD $HOME
echo input $(cat "$TFPILOT_INPUT")
echo value "$VALUE"
echo argument "$1"
echo secret "$SECRET_TOKEN$LEAK$APPTAINER_CACHEDIR"
for place in /x /usr/x /etc/x "$TFPILOT_INPUT" "$RO/x"; do (: >"$place") 2>/dev/null && echo wrote "$place"; done
echo of-payload >"$RW/from-inside" && echo made >made
echo host $(ls -d /work /home/* "$HIDDEN" 2>/dev/null)
echo tmp $(: >/tmp/x && ls /tmp/x)
dd if=/dev/zero of=/tmp/big bs=1M count=100 2>/dev/null || echo tmp full
echo net $(grep -c : /proc/net/dev)
[ "$(cat /proc/self/stat | cut -d' ' -f1)" -gt 0 ] && echo proc
[ -w /dev/null ] && [ -e /dev/shm ] && echo dev
`

func TestIntegrationAProgramInsideFindsItsOwnAndNothingElse(t *testing.T) {
	t.Parallel()
	env, image := inPlace(t)
	for _, runtime := range []container.Runtime{container.Bubblewrap, container.Apptainer, container.Podman} {
		for _, network := range []string{"host", "none"} {
			if runtime == container.Podman && os.Geteuid() != 0 {
				continue // rootless, it wants a range of users, which a setuid program gives
			}
			t.Run(string(runtime)+"/"+network, func(t *testing.T) {
				t.Parallel()
				around, ro, rw, hidden := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
				work := filepath.Join(around, "work") // what is around it is bound as something that must not be changed
				if err := os.Mkdir(work, 0o700); err != nil {
					t.Fatal(err)
				}
				input := filepath.Join(t.TempDir(), "scope:file,1 of 2.stf")
				if err := os.WriteFile(input, []byte("frames"), 0o600); err != nil {
					t.Fatal(err)
				}
				c, err := container.New(container.Spec{Runtime: runtime, Image: image, Network: network, Binds: []string{ro + "::ro", rw}}, container.Place{Env: env})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Try(t.Context(), work, run); err != nil {
					t.Fatal(err)
				}
				var stdout, stderr strings.Builder
				s, err := c.Start(proc.Command{
					Path: "sh", Args: []string{"-c", look, "look", "$(touch made-by-a-shell)"}, Dir: work, Stdout: &stdout, Stderr: &stderr,
					Env: []string{"HOME=" + work, "TMPDIR=" + work, "TFPILOT_INPUT=" + input, "VALUE=a 'b\" $HOME $(touch made-by-a-shell) `touch made-by-a-shell`", "RO=" + ro, "RW=" + rw, "HIDDEN=" + hidden},
				}, container.ReadOnly(input), container.ReadOnly(around), container.ReadOnly(filepath.Join(work, "not-there")))
				if err != nil {
					t.Fatal(err)
				}
				if r, err := run(t.Context(), s.Command); err != nil || r.ExitCode != 0 {
					t.Errorf("status %d, %v", r.ExitCode, err)
				}
				got := stdout.String()
				version, err := os.ReadFile(filepath.Join(image, "etc/debian_version"))
				if err != nil {
					t.Fatal(err)
				}
				user := fmt.Sprintf("%s\nuser %d:%d", strings.TrimSpace(string(version)), os.Geteuid(), os.Getegid())
				for _, want := range []string{
					"version " + user, "\nhere " + work + " " + work + "\n", "\ninput frames\n", "\nvalue a 'b\" $HOME $(touch made-by-a-shell) `touch made-by-a-shell`\n", "\nargument $(touch made-by-a-shell)\n", "\nsecret \n", "\nhost\n", "\ntmp /tmp/x\n",
					"\nproc\n", "\ndev\n",
				} {
					if !strings.Contains(got, want) {
						t.Errorf("%q is not in:\n%s%s", want, got, stderr.String())
					}
				}
				// Apptainer bounds it for ordinary users only.
				if full := strings.Contains(got, "\ntmp full\n"); !full && (runtime != container.Apptainer || os.Geteuid() != 0) {
					t.Errorf("/tmp has no bound:\n%s", got)
				}
				if strings.Contains(got, "wrote") {
					t.Errorf("something could be written to:\n%s", got)
				}
				if alone := strings.Contains(got, "\nnet 1\n"); alone != (network == "none") {
					t.Errorf("network %s:\n%s", network, got)
				}
				for _, file := range []string{filepath.Join(work, "made"), filepath.Join(rw, "from-inside")} {
					if _, err := os.Stat(file); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// An ordinary user can do the same: this test again, as one.
func TestIntegrationAnOrdinaryUserNeedsNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("this is one")
	}
	_, _ = inPlace(t)
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "tfpilot-container-") //nolint:usetesting // another user must come in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "container.test")
	err = errors.Join(os.Chown(dir, nobody, nobody), os.WriteFile(program, self, 0o755)) //nolint:gosec // others run it
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestIntegrationAProgramInside", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "TFPILOT_TEST_CONTAINERS=" + os.Getenv("TFPILOT_TEST_CONTAINERS")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestIntegrationAProgramInsideFindsItsOwnAndNothingElse/apptainer/none") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestIntegrationWhatARuntimeCannotDoIsItsOwnFailure(t *testing.T) {
	t.Parallel()
	env, image := inPlace(t)
	for _, runtime := range []container.Runtime{container.Bubblewrap, container.Apptainer, container.Podman} {
		t.Run(string(runtime), func(t *testing.T) {
			t.Parallel()
			c, err := container.New(container.Spec{Runtime: runtime, Image: image, Binds: []string{"/no/such/folder"}}, container.Place{Env: env})
			if err != nil {
				t.Fatal(err)
			}
			err = c.Try(t.Context(), t.TempDir(), run)
			if err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
				t.Errorf("a bind that is not there: %v", err)
			}
			if c, err = container.New(container.Spec{Runtime: runtime, Image: image}, container.Place{Env: env}); err != nil {
				t.Fatal(err)
			}
			s, err := c.Start(proc.Command{Path: "no-such-program", Dir: t.TempDir()})
			if err == nil {
				_, err = run(context.WithoutCancel(t.Context()), s.Command)
			}
			if err == nil || !strings.Contains(err.Error(), "no-such-program") {
				t.Errorf("a program that is not there: %v", err)
			}
		})
	}
}
