// Package prompt is what a pilot shares with the production worker whose place it takes: its file of brokers (prompt.conf), its
// way to say that it lives, its report of the job, and a job folder without secrets at the end.
package prompt
