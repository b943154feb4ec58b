package eicrecon

import (
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"tfpilot/internal/exitcode"
	"tfpilot/internal/message"
	"tfpilot/internal/payloadfile"
)

const (
	// standardVersion and standardImage are what the production worker takes when nothing is said.
	standardVersion = "26.03.0"
	imageFolder     = "/cvmfs/singularity.opensciencegrid.org/eicweb/"
)

// versionInName is where campaigns have their version in the names of files.
var versionInName = regexp.MustCompile(`/FULL/([0-9]+\.[0-9]+\.[0-9]+)/`)

// choice is the reconstruction that a slice asks for.
type choice struct {
	daemon  bool
	version string
	image   string
	// named says that the version is the slice's, and no choice of ours.
	named bool
}

// same says that it is the same reconstruction, whoever named it.
func (ch choice) same(other choice) bool {
	return ch.version == other.version && ch.image == other.image
}

// choose follows the production worker: what the slice says goes before its file name, the payload's TOML and the standard. Names that
// a slice may not give are the producer's mistake.
func choose(e payloadfile.EICrecon, c message.SliceContent) (choice, error) {
	ch := choice{daemon: cmp.Or(e.Mode, mode(c.ProcessorType)) == payloadfile.EICreconZMQ}
	inName := ""
	if m := versionInName.FindStringSubmatch(c.Filename); m != nil {
		inName = m[1]
	}
	ch.named = c.EpicVersion != "" || inName != ""
	ch.version = cmp.Or(c.EpicVersion, inName, e.Version, standardVersion)
	if err := payloadfile.ValidEPICVersion(ch.version); err != nil {
		return choice{}, exitcode.New(exitcode.DataInvalid, "epic_version of the slice: %w", err)
	}
	switch {
	case e.Image == payloadfile.NoImage:
		// The program of the node is the only one.
	case c.EpicImage != "" && c.EpicImage != e.Image:
		if err := allowed(e, c.EpicImage); err != nil {
			return choice{}, err
		}
		ch.image = c.EpicImage
	default:
		ch.image = cmp.Or(e.Image, imageFolder+"eic_xl:"+ch.version+"-stable")
	}
	return ch, nil
}

func mode(processorType string) string {
	if processorType == "zeromq" {
		return payloadfile.EICreconZMQ
	}
	return payloadfile.EICreconOneshot
}

// allowed refuses images that a message may not name: whoever may publish slices would choose what runs here.
func allowed(e payloadfile.EICrecon, image string) error {
	if err := payloadfile.ValidImage(image); err != nil {
		return exitcode.New(exitcode.DataInvalid, "epic_image of the slice: %w", err)
	}
	prefixes := e.Images
	if len(prefixes) == 0 {
		prefixes = []string{"/cvmfs/"}
	}
	if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(image, p) }) {
		err := exitcode.New(exitcode.DataInvalid, "epic_image of the slice: %.200q begins with none of %s", image, strings.Join(prefixes, ", "))
		return exitcode.WithNext(err, "name what slices may ask for by images in [eicrecon] of the payload's TOML")
	}
	return nil
}

// setup is the script that sets the environment of the detector, as it is named in the image.
func setup(e payloadfile.EICrecon, version string) string {
	return filepath.Join(cmp.Or(e.Detector, "/opt/detector"), "epic-"+version, "bin", "thisepic.sh")
}
