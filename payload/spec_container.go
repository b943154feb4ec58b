package payload

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// notInside are the variables of ours that would be wrong in a container: they tell where things are outside.
var notInside = []string{"PATH", "LD_LIBRARY_PATH"}

// inherits says that a variable of ours is the payload's too.
func (s Spec) inherits(key string) bool {
	return s.Container == nil || !slices.Contains(notInside, key)
}

// lookedUpInside says that a program is the image's, and not on this node. What is in the folder of the TOML file is on both sides.
func (s Spec) lookedUpInside(program string) bool {
	return s.Container != nil && s.Kind != KindTFReco && (s.Dir == "" || !strings.HasPrefix(program, filepath.Clean(s.Dir)+"/"))
}

// validateContainer checks the table [container].
func (s Spec) validateContainer() error {
	if s.Container == nil {
		return nil
	}
	c := *s.Container
	var errs []error
	if s.ImagesAreNamed() {
		if c.Image != "" {
			errs = append(errs, fmt.Errorf("container.image: the image of kind %s is %s.image", s.Kind, s.Kind))
		}
		if s.EICrecon.Image == NoImage {
			errs = append(errs, errors.New("container: eicrecon.image is none"))
		}
		c.Image = "docker://any" // the rest is to be right
	}
	errs = append(errs, c.Validate())
	if s.InProcess() {
		errs = append(errs, fmt.Errorf("container: synthetic.mode %q starts no program that could run in one", s.Synthetic.Mode))
	}
	return errors.Join(errs...)
}
