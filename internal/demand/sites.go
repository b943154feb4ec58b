package demand

import (
	"cmp"
	"slices"
)

// limit keeps all runs together within what may be had. Of what there is too little, each run gets its part.
func (p Policy) limit(all []Decision, s Snapshot) {
	most, why := p.MaxAll, "--demand-max-all"
	room := 0
	for _, site := range s.Sites {
		if site.Max == 0 {
			room = 0
			break
		}
		room += site.Max
	}
	if room > 0 && (most == 0 || room < most) {
		most, why = room, "the max_workers of all sites"
	}
	total := 0
	for i := range all {
		total += all[i].Wanted
	}
	if most == 0 || total <= most {
		return
	}
	asked := make([]int, len(all))
	for i := range all {
		asked[i], all[i].Wanted = all[i].Wanted, 0
	}
	for range most { // one by one to who has the smallest part
		next := -1
		for i := range all {
			if all[i].Wanted < asked[i] && (next < 0 || all[i].Wanted*asked[next] < all[next].Wanted*asked[i]) {
				next = i
			}
		}
		all[next].Wanted++
	}
	for i := range all {
		if all[i].Wanted < asked[i] {
			all[i].because("All runs together want %s and may have %d, by %s: this one gets %d of its %d.", count(total, "worker"), most, why, all[i].Wanted, asked[i])
		}
	}
}

// share gives each site its part: the workers stay where they are, what is more goes to the cheapest site that has room, and what is
// less is taken from the dearest.
func (p Policy) share(all []Decision, s Snapshot) {
	if len(s.Sites) == 0 {
		return
	}
	sites := slices.Clone(s.Sites)
	slices.SortStableFunc(sites, func(a, b Site) int { return cmp.Or(cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Name, b.Name)) })
	used := make([]int, len(sites))
	room := func(i int) int {
		if sites[i].Max == 0 {
			return int(^uint(0) >> 1)
		}
		return sites[i].Max - used[i]
	}
	for r := range all {
		d := &all[r]
		parts, left := make([]int, len(sites)), d.Wanted
		for _, more := range []bool{false, true} { // first those that are there
			for i := range sites {
				n := min(left, room(i))
				if !more {
					n = min(n, alive(at(s.Runs[r].Workers, sites[i].Name)))
				}
				parts[i], used[i], left = parts[i]+n, used[i]+n, left-n
			}
		}
		for i := range sites {
			d.Sites = append(d.Sites, Share{sites[i].Name, parts[i]})
			if len(sites) > 1 && parts[i] > 0 {
				d.say("%d of them at %s, where %s now and a worker costs %g.", parts[i], sites[i].Name,
					are(alive(at(s.Runs[r].Workers, sites[i].Name)), "worker", "is", "are"), sites[i].Cost)
			}
		}
		if left > 0 {
			d.say("For %d of them no site has room.", left)
		}
	}
}

// at are the workers of a site.
func at(workers []Workers, site string) []Workers {
	return slices.DeleteFunc(slices.Clone(workers), func(w Workers) bool { return w.Site != site })
}

// alive is how many workers take slices, or soon will.
func alive(workers []Workers) (n int) {
	for _, w := range workers {
		n += w.Starting + w.Ready
	}
	return n
}
