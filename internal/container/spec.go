package container

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Runtime is a program that runs containers.
type Runtime string

// The runtimes. Auto is the first that is there, takes the image, and works.
const (
	Auto        Runtime = "auto"
	Apptainer   Runtime = "apptainer"
	Singularity Runtime = "singularity"
	Podman      Runtime = "podman"
	Docker      Runtime = "docker"
	Bubblewrap  Runtime = "bubblewrap"
)

// Runtimes are all that can be asked for.
func Runtimes() []string {
	all := []string{string(Auto)}
	for _, e := range engines {
		all = append(all, string(e.runtime))
	}
	return all
}

// Spec is what a program runs in: the table [container] of a payload.
type Spec struct {
	// Runtime is one of Runtimes; empty is Auto.
	Runtime Runtime `toml:"runtime"`
	// Image is a path (from / or ., the latter from the folder of the TOML file) of an image file or an unpacked root, or the name of one
	// in a registry, as in docker://debian:12.
	Image string `toml:"image"`
	// Options are the runtime's own, put before the image as they are. They need a Runtime by name.
	Options []string `toml:"options"`
	// Binds are "/path", "/outside:/inside" or "/outside:/inside:ro".
	Binds []string `toml:"binds"`
	// Network is host (the default) or none.
	Network string `toml:"network"`
	// GPU is nvidia or amd; empty gives none.
	GPU string `toml:"gpu"`
}

// Validate names every contradiction.
func (s Spec) Validate() error {
	var errs []error
	if s.Runtime != "" && !slices.Contains(Runtimes(), string(s.Runtime)) {
		errs = append(errs, fmt.Errorf("container.runtime %q is none of %s", s.Runtime, strings.Join(Runtimes(), ", ")))
	}
	switch {
	case s.Image == "":
		errs = append(errs, errors.New("container.image is missing: a path, or a name such as docker://debian:12"))
	case strings.ContainsAny(s.Image, "\x00\n") || strings.HasPrefix(s.Image, "-"):
		errs = append(errs, fmt.Errorf("container.image %q is neither a path nor the name of an image", s.Image))
	}
	if len(s.Options) > 0 && (s.Runtime == "" || s.Runtime == Auto) {
		errs = append(errs, errors.New("container.options are those of one runtime: name it in container.runtime"))
	}
	for _, text := range s.Binds {
		if _, err := ParseBind(text); err != nil {
			errs = append(errs, fmt.Errorf("container.binds: %w", err))
		}
	}
	if !slices.Contains([]string{"", networkHost, networkNone}, s.Network) {
		errs = append(errs, fmt.Errorf("container.network %q is none of %s, %s", s.Network, networkHost, networkNone))
	}
	if !slices.Contains([]string{"", gpuNvidia, gpuAMD}, s.GPU) {
		errs = append(errs, fmt.Errorf("container.gpu %q is none of %s, %s", s.GPU, gpuNvidia, gpuAMD))
	}
	return errors.Join(errs...)
}

const (
	networkHost, networkNone = "host", "none"
	gpuNvidia, gpuAMD        = "nvidia", "amd"
)

// Bind is a file or folder of the node that is seen inside.
type Bind struct {
	Source, Target string
	// Write lets the program change it.
	Write bool
	// Optional leaves it out when it is not there: who looks for it inside is to find that out.
	Optional bool
}

// ReadOnly binds a path to where it is; what is not there is left out.
func ReadOnly(path string) Bind { return Bind{Source: path, Target: path, Optional: true} }

// ParseBind reads "/path", "/outside:/inside", "/outside:/inside:ro" or ":rw", which is the default as it is everywhere.
func ParseBind(text string) (Bind, error) {
	parts := strings.Split(text, ":")
	b := Bind{Source: parts[0], Target: parts[0], Write: true}
	if len(parts) > 1 && parts[1] != "" {
		b.Target = parts[1]
	}
	if len(parts) > 2 {
		b.Write = parts[2] == "rw"
	}
	bad := len(parts) > 3 || len(parts) == 3 && parts[2] != "ro" && parts[2] != "rw"
	if bad || !filepath.IsAbs(b.Source) || !filepath.IsAbs(b.Target) || strings.ContainsRune(text, 0) {
		return Bind{}, fmt.Errorf("%q is none of /path, /outside:/inside, /outside:/inside:ro", text)
	}
	b.Source, b.Target = filepath.Clean(b.Source), filepath.Clean(b.Target)
	if b.Target == "/" {
		return Bind{}, fmt.Errorf("%q would hide the image: bind a folder below /", text)
	}
	return b, nil
}
