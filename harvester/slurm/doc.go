// Package slurm submits pilots to Slurm, as one array job for each submission.
//
// A worker is an array task, 4711_3: its index is the worker's, and the job's name is the submission's tag. Everything is asked
// for in text of a fixed form, which Slurm 22.05 and 24.11 print alike, and not as JSON: that says nothing more, is up to a
// hundred times as long, and that of 22.05 is an empty list with status 0 when the controller does not answer.
//
//	sbatch   one array for all pilots of a submission, its script on standard input
//	squeue   every job of this user that the controller remembers, also ended ones (for MinJobAge)
//	sacct    how those ended that it does not remember; only where the site keeps accounting
//	scancel  once for a job, until a look has shown that it was of no use
//
// The script becomes the pilot (exec), so that signals reach it and its exit status is the job's. It holds no environment: that
// travels as variables which only sbatch sees, and never in arguments.
//
// There are no goroutines but those of a command that runs.
package slurm
