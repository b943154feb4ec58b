package message

import "time"

// longestBeat is the most time between two reports that is believed: who says more would never be missed.
const longestBeat = time.Hour

// SilentAfter is after how long without a report a pilot counts as gone: three of its heart-beats, or otherwise, when it does not say
// how often it reports.
func (w *WorkerReport) SilentAfter(otherwise time.Duration) time.Duration {
	if !(w.HeartbeatSeconds > 0) { // nor NaN
		return otherwise
	}
	return time.Duration(3 * min(w.HeartbeatSeconds, longestBeat.Seconds()) * float64(time.Second))
}

// Busy is how many of a pilot's slots have a payload running: what it has in hand beside may wait for its turn.
func (w *WorkerReport) Busy() (n int) {
	for i := range w.InHand {
		if !w.InHand[i].RunningSince.IsZero() {
			n++
		}
	}
	return min(n, max(0, w.Slots))
}

// SlotTime is for how many seconds payloads had a pilot's slots until it reported, and for how many it had them. Both are by its own clock.
func (w *WorkerReport) SlotTime() (used, had float64) {
	if w.StartedAt.IsZero() {
		return w.Totals.WallSeconds, 0
	}
	had = float64(max(0, w.Slots)) * max(0, w.At.Sub(w.StartedAt).Seconds()-w.Totals.SuspendedSeconds)
	used = w.Totals.WallSeconds
	for i := range w.InHand {
		if since := w.InHand[i].RunningSince; !since.IsZero() {
			used += max(0, w.At.Sub(since).Seconds())
		}
	}
	return used, had
}
