package payloadfile

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// interpreters read the argument after one of these letters as a program.
var interpreters = []struct {
	name    *regexp.Regexp
	letters string
}{
	{regexp.MustCompile(`^(ba|da|a|z|k|mk|c|tc|fi)?sh$`), "c"},
	{regexp.MustCompile(`^(python|pypy)[0-9.]*$`), "c"},
	{regexp.MustCompile(`^(perl|ruby|lua|node|Rscript|julia)[0-9.]*$`), "eE"},
}

// fromMessages are the variables whose text a producer chooses.
var fromMessages = []string{"TFPILOT_INPUT", "TFPILOT_RUN_ID", "TFPILOT_REQ_ID", "TFPILOT_NAMESPACE", "TFPILOT_TF_FILENAME"}

// checkScripts refuses what has a message's words in the text of a program: a producer could have anything run.
func checkScripts(command []string) error {
	var errs []error
	for i, program := range command {
		for _, in := range interpreters {
			if !in.name.MatchString(path.Base(program)) {
				continue
			}
			for j := i + 1; j+1 < len(command) && strings.HasPrefix(command[j], "-"); j++ {
				if strings.HasPrefix(command[j], "--") || !strings.ContainsAny(command[j], in.letters) {
					continue
				}
				for _, name := range fromMessages {
					if strings.Contains(command[j+1], "${"+name+"}") {
						errs = append(errs, keyError{"command", fmt.Errorf("${%s} in a program for %s: it would run what a message says; "+
							"have it read %s from its environment, as \"$%s\" in a shell", name, path.Base(program), name, name)})
					}
				}
				break
			}
		}
	}
	return errors.Join(errs...)
}
