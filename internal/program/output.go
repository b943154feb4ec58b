package program

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
)

var formats = []string{"table", "json", "quiet"}

// OutputFlag is --output, for every command that prints a table.
func OutputFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "table, json, or quiet: the first column alone",
		// Before anything is done: a report in no known format after an hour's work helps nobody.
		Action: func(_ *cli.Context, format string) error {
			if slices.Contains(formats, format) {
				return nil
			}
			return exitcode.New(exitcode.Usage, "--output %q is none of %s", format, strings.Join(formats, ", "))
		},
	}
}

// Table is rows under headings, for people.
type Table struct {
	Header []string
	Rows   [][]string
	// Names are what --output quiet prints, where the first column is too narrow for all of them.
	Names []string
}

// Print writes the document in the format of --output: the table for people, the document itself as JSON.
func Print(c *cli.Context, document any, table Table) error {
	switch c.String("output") {
	case "json":
		enc := JSON(c.App.Writer)
		enc.SetIndent("", "  ")
		return enc.Encode(document)
	case "quiet":
		for _, name := range table.names() {
			if _, err := fmt.Fprintln(c.App.Writer, Plain(name)); err != nil {
				return err
			}
		}
		return nil
	default:
		return table.Write(c.App.Writer)
	}
}

func (t Table) names() []string {
	if t.Names != nil {
		return t.Names
	}
	names := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		names[i] = row[0]
	}
	return names
}

// Write aligns the columns.
func (t Table) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(t.Header) > 0 {
		fmt.Fprintln(tw, strings.Join(t.Header, "\t"))
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i := range row {
			cells[i] = Plain(row[i])
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// Plain is a text of others on one line, without what a terminal would obey.
func Plain(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Map(func(r rune) rune {
		if steers(r) {
			return ' '
		}
		return r
	}, strings.Join(lines, "; "))
}

// Listen opens a TCP listener and, when file is not empty, writes its host:port there once it listens, so that whoever
// started us with port 0 finds it. A taken port is one clear error.
func Listen(addr, file string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, exitcode.New(exitcode.Usage, "--listen %q is not host:port, such as 127.0.0.1:8443, or 127.0.0.1:0 for a free port", addr)
	}
	ln, err := net.Listen("tcp", addr) //nolint:noctx // binding a local port does not wait
	if err != nil {
		return nil, exitcode.New(exitcode.AddressTaken, "listening on %s: %w", addr, err)
	}
	if file == "" {
		return ln, nil
	}
	if err := WriteAddress(file, ln); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// WriteAddress writes a listener's host:port into a file, which is never there in part.
func WriteAddress(file string, ln net.Listener) error {
	if err := renameio.WriteFile(file, []byte(ln.Addr().String()+"\n"), 0o644); err != nil {
		return exitcode.New(exitcode.StoreFailed, "writing the address file: %w", err)
	}
	return nil
}

// ReadSecret reads a token or password from a file: its first line, without white space around it. An empty file and one
// that others can read are errors that do not show the content.
func ReadSecret(file string) (string, error) {
	b, err := ReadPrivate(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", exitcode.New(exitcode.NoCredential, "secret file %s is empty", file)
	}
	return line, nil
}

// ReadPrivate reads a file with secrets, which must not be readable by others.
func ReadPrivate(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, unusable(file, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, exitcode.New(exitcode.NoCredential, "secret file %s is readable by others (mode %04o); chmod 600 it", file, info.Mode().Perm())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, unusable(file, err)
	}
	return b, nil
}

// unusable puts the reason away from the file's name: behind "my.token:" it would be taken for a secret, and masked.
func unusable(file string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return exitcode.New(exitcode.NoCredential, "secret file cannot be used: %w (%s)", err, file)
}

// Token is the token itself or, when a file is named, what stands in it.
func Token(token, file string) (string, error) {
	if file == "" {
		return token, nil
	}
	return ReadSecret(file)
}
