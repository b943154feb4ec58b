package ask

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/glance"
	"tfpilot/internal/hist"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// Histograms writes or draws a run's merged histograms.
func Histograms() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Usage: "write them into this file: ROOT, JSON or a picture, by its end .root, .json or .svg"},
		&cli.StringFlag{Name: "name", Usage: "only the histogram of this name"},
	}
	command := call("histograms", "the merged histograms of a run: drawn, or as a file", "RUN",
		"Each slice counts once, whatever came twice or was tried again. Results whose histograms fit no others of the run (another\n"+
			"binning, what is no number) or are too many count all the same: how many there were stands below.\n\n"+
			"Examples:\n"+
			"  idds histograms --token-file viewer.token 100001                 drawn here\n"+
			"  idds histograms -o run.root 100001                               for ROOT and uproot\n"+
			"  idds histograms --name vertex_z --output json 100001", "viewer", flags, histograms)
	for _, f := range command.Flags { // -o is the file here
		if s, ok := f.(*cli.StringFlag); ok && s.Name == "output" {
			s.Aliases = nil
		}
	}
	return command
}

func histograms(c *cli.Context, client *rest.Client) error {
	run, out := c.Args().First(), c.String("out")
	if c.NArg() != 1 || run == "" {
		return exitcode.New(exitcode.Usage, "histograms needs one run number")
	}
	kind := filepath.Ext(out)
	if out != "" && kind != ".root" && kind != ".json" && kind != ".svg" {
		return exitcode.New(exitcode.Usage, "--out %s: its end is none of .root, .json, .svg", out)
	}
	path := "/v1/runs/" + url.PathEscape(run)
	if kind == ".root" {
		if c.String("name") != "" {
			return exitcode.New(exitcode.Usage, "--name says nothing of a ROOT file, which has all")
		}
		file, err := client.File(c.Context, path+"/histograms.root")
		if err != nil {
			if err = unknownRun(err, run); client.Read(c.Context, path, new(document.Run)) == nil {
				err = exitcode.WithNext(exitcode.New(exitcode.Usage, "run %s has no histograms", cell(run)), "they come with the results of payloads that make some")
			}
			return err
		}
		return save(c, out, file)
	}
	var doc struct {
		Histograms hist.Set `json:"histograms"`
	}
	if err := client.Read(c.Context, path+"/histograms", &doc); err != nil {
		return unknownRun(err, run)
	}
	if name := c.String("name"); name != "" {
		h := doc.Histograms.Find(name)
		if h == nil {
			return exitcode.WithNext(exitcode.New(exitcode.Usage, "run %s has no histogram %q", cell(run), name), "`idds histograms "+cell(run)+" --output quiet` lists those that there are")
		}
		doc.Histograms = hist.Set{*h}
	}
	switch kind {
	case ".json":
		text, err := json.MarshalIndent(doc, "", "  ")
		if err != nil {
			return exitcode.New(exitcode.Internal, "encoding histograms: %w", err)
		}
		return save(c, out, append(text, '\n'))
	case ".svg":
		return save(c, out, []byte(pictures(doc.Histograms)))
	}
	if c.String("output") != "table" {
		t := program.Table{Header: []string{"NAME"}}
		for i := range doc.Histograms {
			t.Names = append(t.Names, doc.Histograms[i].Name)
			t.Rows = append(t.Rows, []string{cell(doc.Histograms[i].Name)})
		}
		return program.Print(c, doc, t)
	}
	return draw(c, client, path, doc.Histograms)
}

func are(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// save writes a file whole or not at all.
func save(c *cli.Context, path string, content []byte) error {
	if err := renameio.WriteFile(path, content, 0o644); err != nil {
		return exitcode.WithNext(exitcode.New(exitcode.StoreFailed, "writing %s: %w", path, err), "name a file in a folder that can be written by --out")
	}
	fmt.Fprintf(c.App.ErrWriter, "%s: %d bytes\n", path, len(content))
	return nil
}

// draw draws them for a terminal, and says what is not in them.
func draw(c *cli.Context, client *rest.Client, path string, set hist.Set) error {
	var run document.Run
	if err := client.Read(c.Context, path, &run); err != nil {
		return err
	}
	for i := range set {
		h := set[i]
		h.Name, h.Title, h.Unit = cell(h.Name), cell(h.Title), cell(h.Unit)
		fmt.Fprintf(c.App.Writer, "%s\n%s\n", h.Name, h.Text(terminalWidth()))
	}
	fmt.Fprintf(c.App.Writer, "run %s: %s of %s that %s done\n", cell(run.RunID), glance.Things(len(set), "histogram"), glance.Things(run.Slices.Done, "slice"), are(run.Slices.Done))
	if n := run.Unmerged; n > 0 {
		fmt.Fprintf(c.App.Writer, "histograms of %s are not in the sum: they have another binning, are no histograms, or are too many\n", glance.Things(n, "result"))
	}
	return nil
}

// terminalWidth is that of a terminal that we write to; 80 columns elsewhere.
func terminalWidth() int {
	size, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return 80
	}
	return min(int(size.Col), 200)
}

// pictures are all of them in one picture, two in a row.
func pictures(set hist.Set) string {
	const w, h = 520, 320
	var b strings.Builder
	rows := (len(set) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d">`+"\n", 2*w, max(1, rows)*h)
	for i := range set {
		fmt.Fprintf(&b, `<g transform="translate(%d,%d)">`+"\n%s</g>\n", i%2*w, i/2*h, set[i].SVG(w, h))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
