package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// OwnService starts a service of scripts/services.sh for one package, whose tests may break it while others use theirs: on a free port, with
// a state folder of its own. It returns what the script prints of it, a folder or an address, and what stops it again.
//
// It is for TestMain, before anything else: internal/proc ends what it finds among the orphans of a process that has started programs with
// it, and a service would be one.
func OwnService(name string) (at string, stop func()) {
	state, err := os.MkdirTemp("", "tfpilot-"+name+"-")
	if err != nil {
		panic(err)
	}
	ask := func(what string) string {
		cmd := exec.Command(filepath.Join("..", "..", "scripts", "services.sh"), what, name) //nolint:forbidigo,noctx,gosec // what internal/proc starts would be its own; it bounds itself
		cmd.Env = append(os.Environ(), "TFPILOT_SERVICES="+state, "TFPILOT_"+strings.ToUpper(name)+"_PORT=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			panic(fmt.Sprintf("services.sh %s %s: %v", what, name, err))
		}
		_, value, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
		return value
	}
	return ask("up"), func() {
		ask("down")
		_ = os.RemoveAll(state)
	}
}
