package pilotcmd

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
)

// failureDocument is a line of the table of failures as JSON.
type failureDocument struct {
	Code      int    `json:"code"`
	Name      string `json:"name"`
	PanDA     int    `json:"panda,omitempty"`
	Class     string `json:"class"`
	Retryable bool   `json:"retryable"`
	Text      string `json:"text"`
	Next      string `json:"next,omitempty"`
}

// statusDocument is an exit status that is not in the table.
type statusDocument struct {
	Status int    `json:"status"`
	Signal string `json:"signal,omitempty"`
	Text   string `json:"text"`
}

func explainCommand() *cli.Command {
	return &cli.Command{
		Name: "explain", Usage: "say what an exit status means: what happened, whose fault it is, what to do", ArgsUsage: "[CODE]",
		Description: "CODE is an exit status of any tfpilot program, its name, a code of the PanDA pilot, or a status above 128, which is that\n" +
			"of a signal. Without CODE the whole table is printed.\n\n" +
			"Examples:\n" +
			"  pilot explain 35\n" +
			"  pilot explain no_broker\n" +
			"  pilot explain 137              killed by which signal, and why mostly\n" +
			"  pilot explain --output json    the table for programs",
		Flags:  []cli.Flag{program.OutputFlag()},
		Action: explain,
	}
}

func explain(c *cli.Context) error {
	word := c.Args().First()
	switch {
	case c.NArg() > 1:
		return exitcode.New(exitcode.Usage, "one CODE at a time, not %q too", c.Args().Get(1))
	case word == "":
		return explainTable(c)
	}
	found := exitcode.Find(word)
	status, err := strconv.Atoi(word)
	if len(found) == 0 && (err != nil || status < 0 || status > 255) {
		return exitcode.WithNext(exitcode.New(exitcode.Usage, "no failure has the number, name or PanDA code %.40q", word), "pilot explain alone prints them all")
	}
	if len(found) == 0 {
		d := statusDocument{Status: status, Text: exitcode.StatusWords(status)}
		if number, ok := exitcode.StatusSignal(status); ok {
			d.Signal = exitcode.SignalName(number)
		}
		return program.Print(c, d, program.Table{Rows: [][]string{{word, d.Text}}})
	}
	documents, t := make([]failureDocument, len(found)), program.Table{}
	for i, f := range found {
		documents[i] = documentOf(f)
		t.Rows = append(t.Rows, [][]string{
			{fmt.Sprintf("%d %s", f.Code, f.Name), f.Text},
			{"  whose fault", whose(f.Class)},
			{"  again?", again(f)},
			{"  next step", orNone(f.Next)},
			{"  PanDA code", pandaText(f.PanDA)},
		}...)
	}
	if c.String("output") == "quiet" {
		t.Rows = nil
		for _, f := range found {
			t.Rows = append(t.Rows, []string{f.Name})
		}
	}
	if len(documents) == 1 {
		return program.Print(c, documents[0], t)
	}
	return program.Print(c, documents, t)
}

func explainTable(c *cli.Context) error {
	var documents []failureDocument
	t := program.Table{Header: []string{"CODE", "NAME", "PANDA", "CLASS", "RETRYABLE", "WHAT HAPPENED"}}
	for _, f := range exitcode.Table() {
		documents = append(documents, documentOf(f))
		retryable := "no"
		if f.Retryable {
			retryable = "yes"
		}
		t.Rows = append(t.Rows, []string{strconv.Itoa(f.Code), f.Name, pandaText(f.PanDA), string(f.Class), retryable, f.Text})
	}
	return program.Print(c, documents, t)
}

func documentOf(f exitcode.Failure) failureDocument {
	return failureDocument{Code: f.Code, Name: f.Name, PanDA: f.PanDA, Class: string(f.Class), Retryable: f.Retryable, Text: f.Text, Next: f.Next}
}

// whose says a class in words.
func whose(c exitcode.Class) string {
	switch c {
	case exitcode.ClassNone:
		return "nobody's"
	case exitcode.ClassPayload:
		return "the payload's: it counts as an attempt of the slice"
	case exitcode.ClassData:
		return "the input's: it counts as an attempt of the slice"
	case exitcode.ClassSite:
		return "the site's: the node, its disks or its programs; it never counts against a slice"
	case exitcode.ClassInfrastructure:
		return "the services': broker, idds, batch system or a store; it never counts against a slice"
	case exitcode.ClassCredential:
		return "a token or password"
	case exitcode.ClassConfiguration:
		return "the configuration's, or the command line's"
	case exitcode.ClassPreempted:
		return "nobody's: the slot was taken back, or somebody ended it"
	case exitcode.ClassWalltime:
		return "nobody's: the slot's time was over"
	}
	return string(c)
}

func again(f exitcode.Failure) string {
	if f.Retryable {
		return "yes: the same may succeed later or elsewhere"
	}
	return "no: the same ends the same way until something is changed"
}

func pandaText(code int) string {
	if code == 0 {
		return "-"
	}
	return strconv.Itoa(code)
}

func orNone(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
