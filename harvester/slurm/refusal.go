package slurm

import (
	"errors"
	"fmt"
	"strings"

	"tfpilot/harvester"
	"tfpilot/internal/exitcode"
)

// complaint is something that Slurm's commands print when they end with an error, what it means, and what to do.
type complaint struct {
	has     string
	failure exitcode.Failure
	next    string
}

const (
	nextController  = "see with `scontrol ping` whether the controller runs, and whether SLURM_CONF or /etc/slurm names the right one"
	nextMunge       = "start munge on this machine (`systemctl start munge`); `munge -n | unmunge` tries it"
	nextPartition   = "`sinfo -o '%P %a %l %D'` lists the partitions; set partition in the [slurm] table"
	nextClosed      = "`scontrol show partition` tells its State: wait until the site opens it again, or set another partition in the [slurm] table"
	nextAccount     = "`sacctmgr show assoc where user=$USER format=account,partition,qos` lists what you may use; set account and qos in the [slurm] table"
	nextTime        = "`sinfo -o '%P %l'` lists what the partitions allow; lower wall_time in the [resources] table"
	nextResources   = "`sinfo -o '%P %D %c %m %f'` lists cores, memory and features of the nodes; compare with the [resources] table, constraint and options"
	nextReservation = "`scontrol show reservation` lists them; set reservation in the [slurm] table"
	nextLimits      = "wait for jobs to end, or lower max_workers and the [resources] to what the site allows"
	nextArray       = "`scontrol show config` tells MaxArraySize and MaxJobCount; lower max_submit below them"
	nextSpool       = "tell the site's administrator: the disk of Slurm's controller (StateSaveLocation) is full"
	nextOptions     = "mend options in the [slurm] table; `sbatch --help` lists them"
	nextAccounting  = "nothing, if the site keeps none; see AccountingStorageType in `scontrol show config`"
	nextRight       = "only the user who submitted a job may cancel it: run the harvester as that user"
	nextAsk         = "`harvester check` looks closer"
)

// complaints are looked for in this order, without regard to case.
var complaints = []complaint{
	{"munge", exitcode.NoBatch, nextMunge},
	{"protocol authentication error", exitcode.NoBatch, nextMunge},
	{"invalid account or account/partition", exitcode.BatchRefused, nextAccount},
	{"invalid qos", exitcode.BatchRefused, nextAccount},
	{"invalid partition", exitcode.BatchRefused, nextPartition},
	{"group not permitted to use this partition", exitcode.BatchRefused, nextPartition},
	{"required partition not available", exitcode.BatchRefused, nextClosed},
	{"requested time limit is invalid", exitcode.BatchRefused, nextTime},
	{"requested partition configuration not available", exitcode.BatchRefused, nextResources},
	{"requested node configuration is not available", exitcode.BatchRefused, nextResources},
	{"more processors requested than permitted", exitcode.BatchRefused, nextResources},
	{"reservation", exitcode.BatchRefused, nextReservation},
	{"memory specification can not be satisfied", exitcode.BatchRefused, nextResources},
	{"cpu count specification", exitcode.BatchRefused, nextResources},
	{"invalid feature specification", exitcode.BatchRefused, nextResources},
	{"invalid node name", exitcode.BatchRefused, nextResources},
	{"violates accounting/qos policy", exitcode.BatchRefused, nextLimits},
	{"invalid job array", exitcode.BatchRefused, nextArray},
	{"unrecognized option", exitcode.BatchRefused, nextOptions},
	{"invalid option", exitcode.BatchRefused, nextOptions},
	{"invalid generic resource", exitcode.BatchRefused, nextOptions},
	{"access/permission denied", exitcode.BatchRefused, nextRight},
	{"i/o error writing script", exitcode.NoBatch, nextSpool},
	{"no space left on device", exitcode.NoBatch, nextSpool},
	{"unable to contact slurm controller", exitcode.NoBatch, nextController},
	{"unable to resolve", exitcode.NoBatch, nextController},
	{"could not establish a configuration source", exitcode.NoBatch, nextController},
	{"accounting storage is disabled", exitcode.NoBatch, nextAccounting},
}

// halfway are errors of a conversation that had begun: sbatch had asked, and did not hear whether it was done.
var halfway = []string{"zero bytes were transmitted", "socket timed out", "message receive failure", "connection reset", "insane message length"}

// errNoAccounting is that of a site without accounting.
var errNoAccounting = errors.New("the site keeps no accounting")

// refusal is the error of a command that ended with one.
func refusal(command, words string) error {
	words = oneLine(strings.ReplaceAll(words, command+": error: ", ""))
	lower := strings.ToLower(words)
	for _, h := range halfway {
		if strings.Contains(lower, h) {
			err := exitcode.New(exitcode.NoBatch, "%s: %s", command, words)
			if command == "sbatch" {
				err = exitcode.New(exitcode.NoBatch, "%s: %s: %w", command, words, harvester.ErrUnclear)
			}
			return exitcode.WithNext(err, nextController)
		}
	}
	failure, next := exitcode.NoBatch, nextController
	if command == "sbatch" {
		failure, next = exitcode.BatchRefused, nextAsk
	}
	for _, c := range complaints {
		if strings.Contains(lower, c.has) {
			failure, next = c.failure, c.next
			break
		}
	}
	if next == nextAccounting {
		return exitcode.WithNext(fmt.Errorf("%s: %w: %w", command, errNoAccounting, exitcode.New(failure, "%s", words)), next)
	}
	return exitcode.WithNext(exitcode.New(failure, "%s: %s", command, words), next)
}

// oneLine makes one of several, for a message.
func oneLine(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
