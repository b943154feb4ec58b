// Package synthetic is the scriptable fake payload: it does nothing, sleeps, burns CPU, grows, prints, crashes, hangs or fails,
// as its spec says. noop and sleep are timers in this process, with nothing in a folder and no process; the rest are processes
// of their own, made of the same binary as the other built-in payloads ([Do] is what runs there).
package synthetic
