package hist

import "fmt"

// Set is the histograms of one payload, in the order in which it shows them.
type Set []H1

// Find is the histogram of a name, nil when there is none.
func (s Set) Find(name string) *H1 {
	for i := range s {
		if s[i].Name == name {
			return &s[i]
		}
	}
	return nil
}

// Merge adds the others by name; a new name is appended as a copy. It is all or nothing: after an error the set is as it was.
func (s *Set) Merge(others Set) error {
	for i := range others {
		o := &others[i]
		if others[:i].Find(o.Name) != nil {
			return fmt.Errorf("merging histograms: %s stands there twice", o.Name)
		}
		if have := s.Find(o.Name); have != nil {
			if err := have.mergeable(o); err != nil {
				return err
			}
		} else if err := o.Validate(); err != nil {
			return fmt.Errorf("merging histograms: %w", err)
		}
	}
	for i := range others {
		o := &others[i]
		if have := s.Find(o.Name); have == nil {
			*s = append(*s, *o.Clone())
		} else if err := have.Merge(o); err != nil {
			return err // cannot be: checked above
		}
	}
	return nil
}
