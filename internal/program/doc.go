// Package program is what every main of tfpilot shares: running a command line under signals, ending with the status of
// [tfpilot/internal/exitcode], one line for an error, the logger, tables with --output, and the lifeline.
//
// The lifeline is the read end of a pipe that a parent leaves open in its children (TFPILOT_LIFELINE_FD names it). When
// the parent dies, however it dies, the pipe ends and the child stops as after SIGTERM. The harvester hands it on to the
// pilots that it forks; payloads never inherit it.
//
// A service manager that has started the program, such as systemd, is told when it is ready and how things are ([Manager]).
package program
