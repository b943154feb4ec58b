//go:build integration

package payload_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"tfpilot/internal/container"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/payloadfile"
	"tfpilot/payload"
	"tfpilot/payload/payloadtest"
	"tfpilot/payload/resident"
)

// containers is the folder with an image and runtimes, whose programs are found from now on.
func containers(t *testing.T) (image string) {
	t.Helper()
	dir := os.Getenv("TFPILOT_TEST_CONTAINERS")
	switch {
	case dir == "" && os.Getenv("REQUIRE_SERVICES") == "1":
		t.Fatal("TFPILOT_TEST_CONTAINERS is not set, and REQUIRE_SERVICES=1")
	case dir == "":
		t.Skip("set TFPILOT_TEST_CONTAINERS to what scripts/containers.sh prints")
	}
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	return filepath.Join(dir, "debian", "root")
}

// What a payload does is the same in a container, and so is what becomes of it: there it passes the suite that it passes outside. The
// program is the test binary: on another Debian than it was built on.
//
//nolint:paralleltest // it changes PATH
func TestIntegrationCommandPassesTheSuiteInEveryContainer(t *testing.T) {
	image := containers(t)
	without := map[container.Runtime]map[string]string{
		container.Podman: {
			"leaves daemons": "they end with the process namespace, where nobody has counted them",
			"does nothing":   "podman itself is never idle for long",
		},
	}
	for _, runtime := range []container.Runtime{container.Bubblewrap, container.Apptainer, container.Podman} {
		t.Run(string(runtime), func(t *testing.T) {
			payloadtest.Run(t, payloadtest.Kind{
				Front: "command",
				Spec: func(s *payloadfile.Spec) {
					s.Container = &container.Spec{Runtime: runtime, Image: image, Binds: []string{filepath.Dir(s.Command[0]) + "::ro"}}
				},
				New:     func(s payloadfile.Spec) (payload.Payload, error) { return payload.NewCommand(s, "") },
				Without: without[runtime],
				Verdicts: map[string]payloadtest.Verdict{
					// What is bound cannot be removed, only emptied.
					"deletes its work directory":   {Failure: exitcode.PayloadFailed, Words: "busy"},
					"has a wrong interpreter line": {Failure: exitcode.SiteNoProgram, Words: "its interpreter or loader is not in the image"},
				},
			})
		})
	}
}

// So does a program that stays: what it prints and how it ends are told from what its runtime says and ends with.
//
//nolint:paralleltest // it changes PATH
func TestIntegrationResidentPassesTheSuiteInAContainer(t *testing.T) {
	image := containers(t)
	payloadtest.Run(t, payloadtest.Kind{
		Front: "resident", Stays: true,
		Spec: func(s *payloadfile.Spec) {
			s.Kind, s.Resident.StartupTimeout = payloadfile.KindResident, time.Minute
			s.Container = &container.Spec{Runtime: container.Bubblewrap, Image: image, Binds: []string{filepath.Dir(s.Command[0]) + "::ro"}}
		},
		New: func(s payloadfile.Spec) (payload.Payload, error) { return resident.New(s) },
		Verdicts: map[string]payloadtest.Verdict{
			"prints garbage":               {Failure: exitcode.PayloadBadResult, Words: "stdout is for the protocol"},
			"broken result":                {Failure: exitcode.PayloadBadResult, Words: "stdout is for the protocol"},
			"no result":                    {Failure: exitcode.PayloadNoResult, Words: "no result"},
			"answers twice":                {},
			"deletes its work directory":   {},
			"has a wrong interpreter line": {Failure: exitcode.SiteNoProgram, Words: "its interpreter or loader is not in the image"},
			"lacks a library":              {Failure: exitcode.SiteNoProgram, Words: "error while loading shared libraries"},
		},
	})
}
