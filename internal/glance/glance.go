package glance

import (
	"slices"

	"tfpilot/internal/document"
)

// Total is the workers of all sites. Its efficiency is that of all slots.
func Total(sites []document.BoardSite) (all document.BoardSite) {
	var used float64
	for _, s := range sites {
		all.Starting += s.Starting
		all.Running += s.Running
		all.Draining += s.Draining
		all.Silent += s.Silent
		all.Held += s.Held
		all.Slots += s.Slots
		all.Busy += s.Busy
		if s.Efficiency != nil {
			used += *s.Efficiency * float64(s.Slots)
		}
	}
	if all.Slots > 0 && slices.ContainsFunc(sites, func(s document.BoardSite) bool { return s.Efficiency != nil }) {
		used /= float64(all.Slots)
		all.Efficiency = &used
	}
	return all
}

// Workers are those of a site that live.
func Workers(s document.BoardSite) int { return s.Starting + s.Running + s.Draining }
