package payloadlog

import (
	"errors"
	"io"

	"tfpilot/internal/proc"
)

// Streams is the log of one slice: a file for each stream that something was printed to.
type Streams struct {
	folder  Folder
	streams [2]*file
}

// Writers are where a payload prints to by itself, such as one that stays in its slot.
func (l *Streams) Writers() (stdout, stderr io.Writer) {
	if l.folder.Dir == None {
		return io.Discard, io.Discard
	}
	return l.streams[0], l.streams[1]
}

// Tee has what a program prints go to the log too.
func (l *Streams) Tee(c proc.Command) proc.Command {
	if l.folder.Dir == None {
		return c
	}
	join := func(w io.Writer, log *file) io.Writer {
		if w == nil {
			return log
		}
		return io.MultiWriter(w, log)
	}
	c.Stdout, c.Stderr = join(c.Stdout, l.streams[0]), join(c.Stderr, l.streams[1])
	return c
}

// Close ends the log: it is compressed, or removed when nobody will want it. It returns the files that are kept.
func (l *Streams) Close(failed bool) (files []string, err error) {
	var errs []error
	for _, f := range l.streams {
		kept, err := f.close(failed || l.folder.All)
		if kept != "" {
			files = append(files, kept)
		}
		errs = append(errs, err)
	}
	if len(files) > 0 {
		errs = append(errs, l.folder.prune())
	}
	return files, errors.Join(errs...)
}
