package payloadfile

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// EICrecon says how kind eicrecon runs the experiment's reconstruction.
type EICrecon struct {
	// Mode is oneshot (a process per slice) or zmq (a daemon per slot); empty is what the slice's processor_type says.
	Mode string `toml:"mode"`
	// Version of the detector, for slices that name none and whose file name has none in it (default 26.03.0).
	Version string `toml:"epic_version"`
	// Image is the container image for slices that name none; empty is the one of the version in /cvmfs, [NoImage] runs the program
	// as it is installed on the node.
	Image string `toml:"image"`
	// Images are the prefixes of images that a slice may name (default: /cvmfs/). Image may always be named.
	Images []string `toml:"images"`
	// Detector is the folder with the detectors' versions, in the image (default /opt/detector).
	Detector string `toml:"detector"`
	// Parameters are further parameters of JANA: key = value is -Pkey=value.
	Parameters map[string]string `toml:"parameters"`
	// SocketDir is where a daemon's socket has its folder (default: the temporary folder). Its name must be short.
	SocketDir string `toml:"socket_dir"`
	// StartupTimeout is how long a daemon may take to be ready (default 3m), RequestTimeout how long to answer (default 5m).
	StartupTimeout time.Duration `toml:"-"`
	RequestTimeout time.Duration `toml:"-"`
}

// defaultEICreconTimeout is the wall time of a process for one slice.
const defaultEICreconTimeout = time.Hour

// Modes of EICrecon, and the image that is none.
const (
	EICreconOneshot = "oneshot"
	EICreconZMQ     = "zmq"
	NoImage         = "none"
)

// fileEICrecon is an EICrecon as it stands in TOML.
type fileEICrecon struct {
	EICrecon
	StartupTimeout duration `toml:"startup_timeout"`
	RequestTimeout duration `toml:"request_timeout"`
}

// spec is what the table means.
func (f fileEICrecon) spec() EICrecon {
	e := f.EICrecon
	e.StartupTimeout, e.RequestTimeout = f.StartupTimeout.value, f.RequestTimeout.value
	return e
}

// epicVersion is a name in a path and in an image's name, and nothing more.
var epicVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$`)

// ValidEPICVersion refuses what could be anything but the name of a version.
func ValidEPICVersion(v string) error {
	if !epicVersion.MatchString(v) || strings.Contains(v, "..") {
		return fmt.Errorf("%.80q is no version such as 26.03.0", v)
	}
	return nil
}

// ValidImage refuses what could be anything but a file or a URL of an image.
func ValidImage(image string) error {
	switch {
	case len(image) > 1024 || strings.ContainsFunc(image, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }):
		return fmt.Errorf("%.80q is too long, or has white space in it", image)
	case slices.Contains(strings.Split(image, "/"), ".."):
		return fmt.Errorf("%.80q leads upward", image)
	case !filepath.IsAbs(image) && !imageURL.MatchString(image):
		return fmt.Errorf("%.80q is neither an absolute path nor a URL such as docker://eicweb/eic_xl:26.03.0-stable", image)
	}
	return nil
}

var imageURL = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[0-9A-Za-z]`)

// reservedParameters are those that this kind sets itself.
var reservedParameters = []string{"podio:managed_socket_path", "podio:output_file", "jana:nevents", "jana:nskip", "jana:timeout", "nthreads"}

// validate names every contradiction; kind is the spec's.
func (e EICrecon) validate(kind Kind) error {
	if kind != KindEICrecon {
		if !reflect.DeepEqual(e, EICrecon{}) {
			return fmt.Errorf("[eicrecon] is for kind eicrecon, not %s", kind)
		}
		return nil
	}
	var errs []error
	if e.Mode != "" && e.Mode != EICreconOneshot && e.Mode != EICreconZMQ {
		errs = append(errs, fmt.Errorf("eicrecon.mode %q is neither %s nor %s; leave it out and the slice says it", e.Mode, EICreconOneshot, EICreconZMQ))
	}
	if e.Version != "" {
		if err := ValidEPICVersion(e.Version); err != nil {
			errs = append(errs, fmt.Errorf("eicrecon.epic_version: %w", err))
		}
	}
	if e.Image != "" && e.Image != NoImage {
		if err := ValidImage(e.Image); err != nil {
			errs = append(errs, fmt.Errorf("eicrecon.image: %w", err))
		}
	}
	for _, prefix := range e.Images {
		if err := ValidImage(prefix); err != nil {
			errs = append(errs, fmt.Errorf("eicrecon.images: %w", err))
		}
	}
	for _, c := range []struct{ key, dir string }{{"detector", e.Detector}, {"socket_dir", e.SocketDir}} {
		if c.dir != "" && (!filepath.IsAbs(c.dir) || strings.ContainsFunc(c.dir, unicode.IsControl)) {
			errs = append(errs, fmt.Errorf("eicrecon.%s %q is no absolute path", c.key, c.dir))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Parameters)) {
		value := e.Parameters[key]
		switch {
		case slices.Contains(reservedParameters, key):
			errs = append(errs, fmt.Errorf("eicrecon.parameters: %s is set for every slice", key))
		case key == "" || strings.ContainsAny(key, "= \x00") || strings.ContainsRune(value, 0):
			errs = append(errs, fmt.Errorf("eicrecon.parameters: %q = %q is no parameter", key, value))
		}
	}
	errs = append(errs, checkTime("eicrecon.startup_timeout", e.StartupTimeout), checkTime("eicrecon.request_timeout", e.RequestTimeout))
	return errors.Join(errs...)
}
