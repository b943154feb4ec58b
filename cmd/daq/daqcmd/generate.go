package daqcmd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/urfave/cli/v2"

	"tfpilot/daq"
	"tfpilot/internal/config"
	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/runplan"
)

// generateOptions are the options of daq generate.
type generateOptions struct {
	Run    string `toml:"run" default:"100001" help:"run number in the file names"`
	Data   string `toml:"data" default:"data" help:"folder for the STF files"`
	Count  int    `toml:"stf_count" default:"10" help:"STFs to make"`
	First  int    `toml:"first" default:"1" help:"sequence number of the first"`
	Frames int    `toml:"frames" default:"1000" help:"time frames in an STF"`
	Seed   uint64 `toml:"seed" default:"1" zero:"true" help:"seed of the detector"`
	detector
}

// generated is one file as it is shown.
type generated struct {
	Path      string  `json:"path"`
	SizeBytes int64   `json:"size_bytes"`
	Adler32   string  `json:"adler32"`
	Frames    int     `json:"frames"`
	Hits      int64   `json:"hits"`
	Seconds   float64 `json:"seconds"`
}

func generateCommand() *cli.Command {
	var o generateOptions
	bind := config.Bind(&o)
	return &cli.Command{
		Name:  "generate",
		Usage: "write STF files and nothing else",
		Description: "Frames are made on all cores. The same seed, sequence and frame number make the same frame.\n\n" +
			"Examples:\n" +
			"  daq generate --stf-count 1 --frames 100 --data data\n" +
			"  daq generate --stf-count 1 --replay events.root --replay-events 45   docs/time-frame-files.md has the format",
		Flags:  flags(bind, program.OutputFlag()),
		Before: program.Options(bind),
		Action: func(c *cli.Context) error {
			files, err := generate(c.Context, o, c.App.ErrWriter)
			if err != nil {
				return dataHint(err)
			}
			t := program.Table{Header: []string{"FILE", "SIZE", "ADLER32", "FRAMES", "HITS", "TIME"}}
			for _, f := range files {
				t.Rows = append(t.Rows, []string{
					f.Path, strconv.FormatInt(f.SizeBytes, 10), f.Adler32, strconv.Itoa(f.Frames), strconv.FormatInt(f.Hits, 10),
					fmt.Sprintf("%.2f s", f.Seconds),
				})
			}
			return program.Print(c, files, t)
		},
	}
}

func generate(ctx context.Context, o generateOptions, progress io.Writer) ([]generated, error) {
	plan := runplan.Default()
	plan.Run, plan.Frames, plan.Seed, plan.SlicesPerSample, plan.TFFilesPerSTF = o.Run, o.Frames, o.Seed, 1, 0
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	for option, n := range map[string]int{"stf-count": o.Count, "first": o.First} {
		if n < 1 || n > runplan.MaxSTFs {
			return nil, exitcode.New(exitcode.Usage, "--%s %d: must be 1 to %d", option, n, runplan.MaxSTFs)
		}
	}
	src, detector, err := source(o.detector, plan)
	if err != nil {
		return nil, err
	}
	defer detector.Close() //nolint:errcheck // only read
	if err := os.MkdirAll(o.Data, 0o755); err != nil {
		return nil, exitcode.New(exitcode.SiteNoSpace, "making the data folder: %w", err)
	}
	show := newMeter(progress, o.Count*o.Frames)
	defer show.end()
	var out []generated
	for i := range o.Count {
		started := time.Now()
		path := filepath.Join(o.Data, runplan.STFName(o.Run, o.First+i))
		s, err := daq.Write(ctx, src, path, o.First+i, o.Frames, show.tick)
		if err != nil {
			return out, err
		}
		out = append(out, generated{path, s.SizeBytes, s.Adler32, s.Frames, s.Hits, time.Since(started).Seconds()})
	}
	return out, nil
}

// meter draws one line of progress on a terminal, and nothing elsewhere.
type meter struct {
	out       io.Writer
	done, all int
	started   time.Time
	last      time.Time
}

func newMeter(out io.Writer, all int) *meter {
	if f, ok := out.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		out = nil
	}
	return &meter{out: out, all: all, started: time.Now()}
}

func (m *meter) tick() {
	m.done++
	if now := time.Now(); m.out != nil && (now.Sub(m.last) > 100*time.Millisecond || m.done == m.all) {
		m.last = now
		fmt.Fprintf(m.out, "\r%d of %d frames, %.0f per second ", m.done, m.all, float64(m.done)/now.Sub(m.started).Seconds())
	}
}

func (m *meter) end() {
	if m.out != nil {
		fmt.Fprint(m.out, "\r\033[K")
	}
}
