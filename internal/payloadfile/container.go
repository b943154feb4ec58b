package payloadfile

import (
	"errors"
	"fmt"
)

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
