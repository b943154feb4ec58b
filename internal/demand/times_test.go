package demand_test

import (
	"testing"
	"time"

	"tfpilot/internal/demand"
)

func near(got, want time.Duration) bool { return got > want*95/100 && got < want*105/100 }

func TestTimesFollowWhatChanges(t *testing.T) {
	t.Parallel()
	times := demand.Times{HalfLife: 2 * time.Minute}
	if took := times.Took(); took != (demand.Took{}) {
		t.Errorf("%+v of nothing", took)
	}
	now := noon
	for range 200 {
		times.Add(demand.Bin(10), 9, now)
		times.Add(demand.Bin(30), 1, now)
		now = now.Add(time.Second)
	}
	took := times.Took()
	if !near(took.Mean, 12*time.Second) || !near(took.Median, 10*time.Second) || !near(took.High, 30*time.Second) || took.N != 2000 {
		t.Errorf("%+v", took)
	}
	for range 1200 {
		times.Add(demand.Bin(2), 10, now)
		now = now.Add(time.Second)
	}
	if took := times.Took(); !near(took.Mean, 2*time.Second) || !near(took.High, 2*time.Second) {
		t.Errorf("%+v long after it changed", took)
	}
}

func TestAMeterSeesARateAndItsChange(t *testing.T) {
	t.Parallel()
	var m demand.Meter
	if a := m.Arrived(noon); a.Any || a.PerSecond != 0 {
		t.Errorf("%+v of nothing", a)
	}
	now := noon
	pass := func(seconds, perSecond int) demand.Arrived {
		for range seconds {
			m.Add(perSecond, now)
			now = now.Add(time.Second)
		}
		return m.Arrived(now)
	}
	if a := pass(120, 4); a.PerSecond != 4 || !a.Any {
		t.Errorf("%+v of 4 a second", a)
	}
	if a := pass(20, 8); a.PerSecond != 8 {
		t.Errorf("%+v soon after it doubled", a)
	}
	if a := pass(280, 8); a.PerSecond != 8 || a.Uneven != 1 {
		t.Errorf("%+v long after", a)
	}
	if a := pass(30, 0); a.PerSecond != 0 || !a.Any {
		t.Errorf("%+v when none come any more", a)
	}
}

func TestAMeterForgetsAPauseWhenItIsOver(t *testing.T) {
	t.Parallel()
	var m demand.Meter
	now := noon
	pass := func(seconds, perSecond int) {
		for range seconds {
			m.Add(perSecond, now)
			now = now.Add(time.Second)
			m.Arrived(now) // as idds asks all the time
		}
	}
	pass(200, 2)
	pass(100, 0)
	pass(25, 2)
	if a := m.Arrived(now); a.PerSecond < 1.9 || a.Uneven != 1 {
		t.Errorf("%+v of 2 a second after a pause", a)
	}
}

func TestAMeterTakesFilesOfSlicesForNoChange(t *testing.T) {
	t.Parallel()
	var m demand.Meter
	for second := range 290 {
		now := noon.Add(time.Duration(second) * time.Second)
		if second%30 == 0 {
			m.Add(60, now)
		}
		if a := m.Arrived(now); second > 100 && (a.PerSecond < 1.5 || a.PerSecond > 2.6) {
			t.Fatalf("%.2f a second after %d s of 60 each half minute", a.PerSecond, second)
		}
	}
}
