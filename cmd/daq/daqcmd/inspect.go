package daqcmd

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/program"
	"tfpilot/internal/stf"
)

// inspection is what is in a file.
type inspection struct {
	Path      string       `json:"path"`
	SizeBytes int64        `json:"size_bytes"`
	Adler32   string       `json:"adler32"`
	Frames    int          `json:"frames"`
	Hits      int64        `json:"hits"`
	Geometry  stf.Geometry `json:"geometry"`
	// HitsPerFrame are over all frames; HitsPerLayer is indexed as the geometry's layers.
	HitsPerFrame spread  `json:"hits_per_frame"`
	HitsPerLayer []int64 `json:"hits_per_layer"`
	// Columns are those of the hits beyond what every file has, with the type of their values.
	Columns map[string]string `json:"columns"`
	// Collisions, Tracks and NoiseHits, which are of no particle, are from the truth; zero in real data.
	Collisions int64 `json:"collisions"`
	Tracks     int64 `json:"tracks"`
	NoiseHits  int64 `json:"noise_hits"`
}

type spread struct {
	Min  int     `json:"min"`
	Mean float64 `json:"mean"`
	Max  int     `json:"max"`
}

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in an STF file, reading and checking all of it",
		ArgsUsage: "FILE",
		Description: "Exit status: 20 if the file is not there, 21 if it is damaged.\n\n" +
			"Example: daq inspect data/swf.100001.000001.stf",
		Flags: []cli.Flag{program.OutputFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return exitcode.New(exitcode.Usage, "inspect takes one FILE, not %d arguments", c.NArg())
			}
			i, err := inspect(c.Args().First())
			switch {
			case exitcode.From(err) == exitcode.DataMissing:
				return exitcode.WithNext(err, "check the name of the file")
			case err != nil:
				return err
			}
			return program.Print(c, i, i.table())
		},
	}
}

func inspect(path string) (inspection, error) {
	r, err := stf.Open(path)
	if err != nil {
		return inspection{}, err
	}
	defer r.Close() //nolint:errcheck // only read
	i := inspection{Path: path, Frames: r.Frames(), Geometry: r.Geometry(), Columns: r.Columns(), HitsPerFrame: spread{Min: math.MaxInt}}
	if i.SizeBytes, i.Adler32, err = stf.Checksum(path); err != nil {
		return i, err
	}
	i.HitsPerLayer = make([]int64, len(i.Geometry.Layers))
	err = r.Read(0, i.Frames-1, func(f *stf.Frame) error {
		n := len(f.Time)
		i.Hits += int64(n)
		i.HitsPerFrame.Min, i.HitsPerFrame.Max = min(i.HitsPerFrame.Min, n), max(i.HitsPerFrame.Max, n)
		for _, layer := range f.Layer {
			if int(layer) < 0 || int(layer) >= len(i.HitsPerLayer) {
				return exitcode.New(exitcode.DataCorrupt, "%s: frame %d has a hit in layer %d of %d", path, f.TF, layer, len(i.HitsPerLayer))
			}
			i.HitsPerLayer[layer]++
		}
		return nil
	})
	if err != nil {
		return i, err
	}
	i.HitsPerFrame.Mean = float64(i.Hits) / float64(i.Frames)
	err = r.ReadTruth(0, i.Frames-1, func(_ int, t *stf.Truth) error {
		i.Collisions += int64(len(t.EventTime))
		i.Tracks += int64(len(t.TrackPT))
		for _, track := range t.HitTrack {
			if track < 0 {
				i.NoiseHits++
			}
		}
		return nil
	})
	return i, err
}

func (i inspection) table() program.Table {
	row := func(name, format string, args ...any) []string { return []string{name, fmt.Sprintf(format, args...)} }
	t := program.Table{Rows: [][]string{
		row("file", "%s", i.Path),
		row("size", "%d bytes", i.SizeBytes),
		row("adler32", "%s", i.Adler32),
		row("detector", "%s, %d layers, %g T", i.Geometry.Name, len(i.Geometry.Layers), i.Geometry.FieldTesla),
		row("source", "%s", i.Geometry.Source),
		row("frames", "%d of %.3f ms", i.Frames, i.Geometry.FrameNS/1e6),
		row("hits", "%d", i.Hits),
		row("hits per frame", "%d to %d, mean %.1f", i.HitsPerFrame.Min, i.HitsPerFrame.Max, i.HitsPerFrame.Mean),
	}}
	for n, layer := range i.Geometry.Layers {
		t.Rows = append(t.Rows, row("hits in layer "+strconv.Itoa(n), "%d (%s, radius %g mm)", i.HitsPerLayer[n], layer.Kind, layer.RadiusMM))
	}
	columns := []string{}
	for _, name := range slices.Sorted(maps.Keys(i.Columns)) {
		columns = append(columns, name+" ("+i.Columns[name]+")")
	}
	if len(columns) == 0 {
		columns = []string{"none"}
	}
	return program.Table{Rows: append(t.Rows,
		row("further columns", "%s", strings.Join(columns, ", ")),
		row("true collisions", "%d", i.Collisions),
		row("true tracks", "%d", i.Tracks),
		row("hits of no particle", "%d", i.NoiseHits),
		row("checksums", "all frames good"),
	)}
}
