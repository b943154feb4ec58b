package ask

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/document"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/pause"
	"tfpilot/internal/program"
	"tfpilot/internal/rest"
)

// followEvery is how often it is asked what has come since.
const followEvery = time.Second

// levels are those of log lines.
var levels = []string{"DEBUG", "INFO", "WARN", "ERROR"}

// latelyFlags are what can be asked of what came lately.
func latelyFlags(more ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "component", Usage: "only of this program"},
		&cli.StringFlag{Name: "run", Usage: "only of this run"},
		&cli.StringFlag{Name: "slice", Usage: "only of this slice"},
		&cli.StringFlag{Name: "text", Usage: "only with this text in it, in whatever case"},
		&cli.DurationFlag{Name: "last", Usage: "only what came within this time, such as 10m"},
		&cli.IntFlag{Name: "limit", Value: 100, Usage: "the latest of them, at most this many (1000)"},
		&cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on with what comes, until Ctrl-C"},
	}, more...)
}

// Logs shows lines of programs' logs.
func Logs() *cli.Command {
	flags := latelyFlags(
		&cli.StringFlag{Name: "role", Usage: "only of programs of this role"},
		&cli.StringFlag{Name: "level", Usage: "only of this level or a higher one: " + strings.Join(levels, ", ")},
	)
	return ask("logs", "show the lines of programs' logs that came lately", program.NoArguments,
		"harvester, daq and pilot send theirs, INFO and above; idds keeps as many as there is room for, of errors more, and none over a\n"+
			"restart.\n\n"+
			"Examples:\n"+
			"  idds logs --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds logs --level WARN --last 10m\n"+
			"  idds logs --component PILOT --follow     what a worker says, as it comes\n"+
			"  idds logs --run 100001 --output json", flags, func(c *cli.Context, get getter) error {
			level := strings.ToUpper(c.String("level"))
			if level != "" && !slices.Contains(levels, level) {
				return exitcode.New(exitcode.Usage, "--level %q is none of %s", c.String("level"), strings.Join(levels, ", "))
			}
			return lately(c, get, "/v1/logs", url.Values{"role": {c.String("role")}, "level": {level}},
				[]string{"TIME", "LEVEL", "COMPONENT", "LINE"}, func(l document.LogRecord) []string {
					return []string{l.At.Format(time.TimeOnly), l.Level, cell(l.Component), cell(sentence(l))}
				})
		})
}

// sentence is a line with what belongs to it.
func sentence(l document.LogRecord) string {
	words := []string{l.Message}
	for _, a := range [][2]string{{"run_id", l.RunID}, {"slice_id", l.Slice}} {
		if a[1] != "" {
			words = append(words, a[0]+"="+a[1])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(l.Attrs)) {
		words = append(words, key+"="+l.Attrs[key])
	}
	return strings.Join(words, " ")
}

// Messages shows messages that idds has seen.
func Messages() *cli.Command {
	flags := latelyFlags(
		&cli.StringFlag{Name: "type", Usage: "only of this msg_type"},
		&cli.StringFlag{Name: "destination", Usage: "only those sent to this destination"},
		&cli.BoolFlag{Name: "junk", Usage: "only what is no message that idds understands"},
	)
	return ask("messages", "show the messages that idds has seen lately", program.NoArguments,
		"Of each kind it keeps as many as there is room for, and none over a restart. Bodies are in --output json, if they are short.\n\n"+
			"Examples:\n"+
			"  idds messages --idds http://127.0.0.1:8443 --token-file viewer.token\n"+
			"  idds messages --type run_imminent --output json\n"+
			"  idds messages --junk --follow            what arrives that nobody understands, and why not", flags, func(c *cli.Context, get getter) error {
			q := url.Values{"type": {c.String("type")}, "destination": {c.String("destination")}}
			if c.Bool("junk") {
				q.Set("junk", "true")
			}
			return lately(c, get, "/v1/messages", q, []string{"TIME", "TYPE", "DESTINATION", "SENDER", "RUN", "SLICE", "BYTES", "JUNK"}, func(m document.SeenMessage) []string {
				return []string{
					m.At.Format(time.TimeOnly), cell(m.MsgType), cell(m.Destination), cell(m.Sender), cell(m.RunID), cell(m.Slice), strconv.Itoa(m.Bytes), cell(m.Junk),
				}
			})
		})
}

// lately shows what came lately and, where it is to follow, what comes.
func lately[T any](c *cli.Context, get getter, path string, q url.Values, header []string, row func(T) []string) error {
	limit := c.Int("limit")
	if limit < 1 || limit > rest.PageSize {
		return exitcode.New(exitcode.Usage, "--limit %d is none of 1 to %d", limit, rest.PageSize)
	}
	for _, name := range []string{"component", "run", "slice", "text"} {
		q.Set(name, c.String(name))
	}
	if last := c.Duration("last"); last > 0 {
		q.Set("since", time.Now().Add(-last).UTC().Format(time.RFC3339Nano))
	}
	q.Set("limit", strconv.Itoa(limit))
	var page document.RecentPage[T]
	if err := get(path+"?"+q.Encode(), &page); err != nil {
		return err
	}
	if !c.Bool("follow") {
		t := program.Table{Header: header}
		for _, v := range page.Items {
			t.Rows = append(t.Rows, row(v))
		}
		if len(page.Items) == 0 && c.String("output") == "table" {
			fmt.Fprintf(c.App.ErrWriter, "none was kept that fits; idds was started at %s and knows nothing of before\n", page.Since.Format(time.DateTime))
		}
		return program.Print(c, page, t)
	}
	q.Set("limit", strconv.Itoa(rest.PageSize))
	for c.Err() == nil { // Ctrl-C is how it ends
		for _, v := range page.Items {
			if err := printOne(c.App.Writer, c.String("output"), v, row(v)); err != nil {
				return err
			}
		}
		q.Set("after", cmp.Or(page.Next, q.Get("after")))
		if len(page.Items) < rest.PageSize {
			_ = pause.For(c.Context, followEvery)
		}
		page = document.RecentPage[T]{}
		if err := get(path+"?"+q.Encode(), &page); err != nil && c.Err() == nil {
			return err
		}
	}
	return nil
}

// printOne prints what has just come: as a line of JSON, or as one for people.
func printOne(w io.Writer, output string, v any, row []string) error {
	var err error
	switch output {
	case "json":
		var line []byte
		if line, err = json.Marshal(v); err == nil {
			_, err = fmt.Fprintf(w, "%s\n", line)
		}
	case "quiet":
		_, err = fmt.Fprintln(w, row[0])
	default:
		_, err = fmt.Fprintln(w, strings.Join(slices.DeleteFunc(row, func(cell string) bool { return cell == "" }), "  "))
	}
	return err
}
