package slotinfo_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tfpilot/internal/exitcode"
	"tfpilot/pilot/slotinfo"
)

func TestTheEndOfASlurmJobIsWhatSqueueSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, answer string
		age          time.Duration // of the job's first process; 0 when it cannot be seen
		env          map[string]string
		want         time.Duration // 0 for no end
		source       string
	}{
		{"time limit less the age of the job", "7 45:00 1:00:00", 15 * time.Minute, nil, 45 * time.Minute, "squeue, time limit of 1h0m0s"},
		{"a day and more", "7 1-00:00:00 1-01:00:00", time.Hour, nil, 24 * time.Hour, "squeue, time limit of 25h0m0s"},
		{"no limit", "7 UNLIMITED UNLIMITED", time.Hour, nil, 0, ""},
		{"past its time", "7 INVALID 10:00", 11 * time.Minute, nil, -time.Minute, "squeue"},
		{"the node's clock an hour ahead", "7 0:01 1:00:00", time.Minute, nil, 59 * time.Minute, "by the age of the job: a clock is off by 58m59s"},
		{"the node's clock an hour behind", "7 1:59:00 1:00:00", time.Minute, nil, 59 * time.Minute, "a clock is off by 1h0m0s"},
		{"in a step the process is younger than the job", "7 10:00 1:00:00", time.Minute, map[string]string{"SLURM_STEP_ID": "0"}, 10 * time.Minute, "squeue"},
		{"one task of an array has the id of all", "7 45:00 1:00:00\n8 UNLIMITED UNLIMITED", 15 * time.Minute, nil, 45 * time.Minute, "squeue"},
		{"of a thousand", strings.Repeat("8 1-01:00:00 1-02:00:00\n", 1000) + "7 45:00 1:00:00", 15 * time.Minute, nil, 45 * time.Minute, "squeue"},
		{"whatever comes first", "8 1:00 2:00\n7 45:00 1:00:00", 15 * time.Minute, nil, 45 * time.Minute, "squeue"},
		{"the job's process is hidden", "7 10:00 1:00:00", 0, nil, 10 * time.Minute, "squeue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.env["SLURM_JOB_ID"] = "7"
			maps.Copy(m.env, c.env)
			if c.age > 0 {
				m.job("slurmstepd", c.age)
			}
			m.squeue(`[ "$*" = "-h -j 7 -o %A %L %l" ] && echo "` + c.answer + `"`)
			s := m.slot(slotinfo.Config{})
			if err := s.Ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.want == 0 {
				if end, ok := s.End(); ok {
					t.Errorf("an end: %v", end)
				}
				return
			}
			endsIn(t, s, c.want, c.source)
		})
	}
}

func TestTheEndInTheEnvironmentHoldsUntilSqueueAnswers(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.job("slurmstepd", time.Minute)
	now := time.Now().Unix()
	m.env["SLURM_JOB_ID"], m.env["SLURM_JOB_START_TIME"], m.env["SLURM_JOB_END_TIME"] = "7", strconv.FormatInt(now-60, 10), strconv.FormatInt(now+540, 10)
	m.squeue(`echo "7 2:00:00 2:01:00"`) // somebody has raised the limit
	s := m.slot(slotinfo.Config{})
	endsIn(t, s, 9*time.Minute, "SLURM_JOB_END_TIME")
	if err := s.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	endsIn(t, s, 2*time.Hour, "squeue")
}

func TestAClockThatIsOffIsNotTakenAtItsWord(t *testing.T) {
	t.Parallel()
	hour := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	t.Run("two points in time make a duration", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		m.job("slurmstepd", time.Minute)
		// The controller began the job an hour ago by our clock, which is an hour ahead.
		m.env["SLURM_JOB_ID"], m.env["SLURM_JOB_START_TIME"] = "7", hour
		m.env["SLURM_JOB_END_TIME"] = strconv.FormatInt(time.Now().Add(-30*time.Minute).Unix(), 10)
		endsIn(t, m.slot(slotinfo.Config{}), 29*time.Minute, "a clock is off by")
	})
	t.Run("the clock of idds helps", func(t *testing.T) {
		t.Parallel()
		s := newMachine(t).slot(slotinfo.Config{Deadline: time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)})
		s.ClockOff(-time.Hour)
		endsIn(t, s, 59*time.Minute, "deadline, configured, by the clock of idds")
		for off, want := range map[time.Duration]string{-time.Hour: "1h0m0s ahead", time.Hour: "1h0m0s behind"} {
			s.ClockOff(off)
			if facts := s.Document().Facts; facts[len(facts)-1].Name != "clock" || facts[len(facts)-1].Value != want {
				t.Errorf("got %+v, want %s", facts[len(facts)-1], want)
			}
		}
	})
	t.Run("a glidein", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		m.job("condor_starter", time.Minute)
		m.env["_CONDOR_MACHINE_AD"] = "/ads/machine"
		m.file("/ads/machine", "MyCurrentTime = 1000000\nGLIDEIN_ToDie = 1003600\n")
		endsIn(t, m.slot(slotinfo.Config{}), 59*time.Minute, "_CONDOR_MACHINE_AD GLIDEIN_ToDie, by the age of the job")
	})
}

// What means "never" is further off than a duration can be.
func TestAnEndThatIsMeantToBeNeverIsFarOff(t *testing.T) {
	t.Parallel()
	far := func(t *testing.T, s *slotinfo.Slot) {
		t.Helper()
		for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
			s.ClockOff(off)
			const year = 365 * 24 * time.Hour
			if end, ok := s.End(); ok && time.Until(end.At) < 50*year {
				t.Errorf("with a clock that is off by %s it ends at %s, by %s", off, end.At, end.Source)
			}
			if d := s.Document(); !d.EndsAt.IsZero() && time.Until(d.EndsAt) < 50*year {
				t.Errorf("with a clock that is off by %s it is shown to end at %s", off, d.EndsAt)
			}
		}
	}
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		far(t, newMachine(t).slot(slotinfo.Config{Deadline: "9999-12-31T23:59:59Z"}))
	})
	t.Run("token", func(t *testing.T) {
		t.Parallel()
		far(t, newMachine(t).slot(slotinfo.Config{Token: "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":253402300799}`)) + ".c2ln"}))
	})
	for _, line := range []string{"MaxWallTimeMins = 2147483647", "MaxWallTime = 999999999", "AllowedJobDuration = 20000000000", "BatchRuntime = 999999999999999"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.job("condor_starter", time.Minute)
			m.env["_CONDOR_JOB_AD"] = "/job"
			m.file("/job", line)
			far(t, m.slot(slotinfo.Config{}))
		})
	}
	for _, line := range []string{"DaemonStopTime = 253402300799", "GLIDEIN_ToDie = 99999999999999", "MyCurrentTime = 1790000000\nGLIDEIN_ToDie = 999999999999"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.job("condor_starter", time.Minute)
			m.env["_CONDOR_MACHINE_AD"] = "/machine"
			m.file("/machine", line)
			far(t, m.slot(slotinfo.Config{}))
		})
	}
	t.Run("the environment of Slurm", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		m.job("slurmstepd", time.Minute)
		m.env["SLURM_JOB_ID"], m.env["SLURM_JOB_START_TIME"], m.env["SLURM_JOB_END_TIME"] = "7", "1790000000", "99999999999"
		far(t, m.slot(slotinfo.Config{}))
	})
}

func TestTheSoonestEndWins(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.job("condor_starter", 10*time.Minute)
	m.env["_CONDOR_JOB_AD"] = "/ads/job"
	m.file("/ads/job", "ClusterId = 12\nProcId = 3\nAllowedExecuteDuration = 7200\nMaxWallTimeMins = 300\nRequirements = (TARGET.Cpus >= 1)\n")
	s := m.slot(slotinfo.Config{WallTime: 100 * time.Minute, Deadline: time.Now().Add(10 * time.Hour).UTC().Format(time.RFC3339)})
	endsIn(t, s, 90*time.Minute, "wall_time, configured, from the start of the job")
	if s.System() != "htcondor" || s.ID() != "12.3" {
		t.Errorf("%s %s", s.System(), s.ID())
	}
	ends := 0
	for _, f := range s.Document().Facts {
		if f.Name == "end" {
			ends++
		}
	}
	if ends != 4 {
		t.Errorf("%d ends are shown", ends)
	}
	if d := s.Document(); d.EndsBy == "" || time.Until(d.EndsAt) > 91*time.Minute {
		t.Errorf("%+v", d)
	}
}

func TestWithoutABatchSystemTheWallTimeCountsFromTheStartOfThePilot(t *testing.T) {
	t.Parallel()
	endsIn(t, newMachine(t).slot(slotinfo.Config{WallTime: time.Hour}), time.Hour-10*time.Second, "from the start of the pilot")
	if _, ok := newMachine(t).slot(slotinfo.Config{}).End(); ok {
		t.Error("an end out of nothing")
	}
	_, err := slotinfo.New(slotinfo.Machine{Getenv: func(string) string { return "" }, Affinity: func() int { return 0 }}, slotinfo.Config{Deadline: "tomorrow"})
	if exitcode.From(err) != exitcode.Usage || !strings.Contains(err.Error(), `--deadline "tomorrow"`) {
		t.Errorf("got %v", err)
	}
}

func TestSuspensionOfTheJobIsNoTimeOfIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, left string
		want       time.Duration
	}{
		{"by Slurm", "50:00", 50 * time.Minute},
		{"by somebody else, which Slurm does not know of", "20:00", 20 * time.Minute},
		{"by Slurm, with a clock that is off", "3:50:00", 50 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.env["SLURM_JOB_ID"] = "7"
			m.job("slurmstepd", 10*time.Minute)
			m.squeue(`echo "7 50:00 1:00:00"`)
			s := m.slot(slotinfo.Config{})
			if err := s.Ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.job("slurmstepd", 40*time.Minute)
			m.squeue(`echo "7 ` + c.left + ` 1:00:00"`)
			s.Suspended(30 * time.Minute)
			endsIn(t, s, 80*time.Minute, "squeue") // the clock of the test has not moved meanwhile
			if err := s.Ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			endsIn(t, s, c.want, "squeue, time limit of 1h0m0s")
		})
	}
}

func TestASqueueThatFailsSaysWhyAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ script, want string }{
		"controller down": {"echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1", "Unable to contact slurm controller"},
		"unknown job":     {"exit 0", "squeue does not know job 7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.env["SLURM_JOB_ID"] = "7"
			m.squeue(c.script)
			s := m.slot(slotinfo.Config{WallTime: time.Hour})
			if err := s.Ask(t.Context()); exitcode.From(err) != exitcode.NoBatch || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			endsIn(t, s, time.Hour, "wall_time")
		})
	}
}

func TestCredentialsAreEndsOfTheirOwnKind(t *testing.T) {
	t.Parallel()
	token := func(in time.Duration) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"x","exp":`+strconv.FormatInt(time.Now().Add(in).Unix(), 10)+`}`)) + ".c2ln"
	}
	t.Run("token of idds", func(t *testing.T) {
		t.Parallel()
		s := newMachine(t).slot(slotinfo.Config{Token: token(time.Hour), WallTime: 2 * time.Hour})
		endsIn(t, s, time.Hour, "the token of idds")
		if end, _ := s.End(); end.Cause != exitcode.Expiring {
			t.Errorf("cause %s", end.Cause.Name)
		}
	})
	t.Run("a token that does not say, or is none", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"opaque", "e30.e30.c2ln", "a.b.c", "..", "e30.eyJleHAiOiJzb29uIn0.c2ln"} {
			if end, ok := newMachine(t).slot(slotinfo.Config{Token: text}).End(); ok {
				t.Errorf("%s: %v", text, end)
			}
		}
	})
	t.Run("a file that is renewed", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		file := filepath.Join(t.TempDir(), "token")
		m.env["BEARER_TOKEN_FILE"] = file
		write(t, file, token(time.Minute))
		s := m.slot(slotinfo.Config{})
		endsIn(t, s, time.Minute, "BEARER_TOKEN_FILE")
		write(t, file, token(time.Hour))
		if err := s.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		endsIn(t, s, time.Hour, "BEARER_TOKEN_FILE")
	})
	t.Run("a proxy", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		file := filepath.Join(t.TempDir(), "proxy")
		m.env["X509_USER_PROXY"] = file
		write(t, file, certificate(t, 3*time.Hour)+certificate(t, 30*time.Hour))
		endsIn(t, m.slot(slotinfo.Config{}), 3*time.Hour, "X509_USER_PROXY")
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func certificate(t *testing.T, in time.Duration) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(in)}
	der, err := x509.CreateCertificate(nil, c, c, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestWhoTookTheSlotBackIsToldApart(t *testing.T) {
	t.Parallel()
	t.Run("Slurm", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct { // as 22.05.8 and 24.11.5 print them when SIGTERM has just come
			name, line, restarts string
			want                 exitcode.Failure
		}{
			{"scancel", "7 COMPLETING None N/A 0", "", exitcode.Cancelled},
			{"time limit", "7 COMPLETING TimeLimit N/A 0", "", exitcode.Walltime},
			{"preemption", "7 COMPLETING None 2026-11-25T22:52:43 1", "", exitcode.Preempted},
			{"requeue", "7 COMPLETING None N/A 1", "", exitcode.Preempted},
			{"scancel after a requeue", "7 COMPLETING None N/A 1", "1", exitcode.Cancelled},
			{"preemption announced", "7 RUNNING None 2026-11-25T22:52:43 0", "", exitcode.Preempted},
			{"a signal by hand", "7 RUNNING None N/A 0", "", exitcode.OK},
			{"another task of the array", "8 COMPLETING None N/A 0\n7 COMPLETING TimeLimit N/A 0", "", exitcode.Walltime},
			{"nothing", "", "", exitcode.OK},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				m := newMachine(t)
				m.env["SLURM_JOB_ID"], m.env["SLURM_RESTART_COUNT"] = "7", c.restarts
				m.squeue("echo '" + c.line + "'")
				if got := exitcode.From(m.slot(slotinfo.Config{}).Taken(t.Context())); got != c.want {
					t.Errorf("got %s, want %s", got.Name, c.want.Name)
				}
			})
		}
	})
	t.Run("HTCondor does not say", func(t *testing.T) {
		t.Parallel()
		m := newMachine(t)
		m.env["_CONDOR_JOB_AD"] = "/ads/job"
		if got := exitcode.From(m.slot(slotinfo.Config{}).Taken(t.Context())); got != exitcode.Preempted {
			t.Errorf("got %s", got.Name)
		}
	})
}

func TestTheKillTimeIsReadWhereItStands(t *testing.T) {
	t.Parallel()
	slurm := newMachine(t)
	slurm.env["SLURM_JOB_ID"], slurm.env["SLURM_CONF"] = "7", "/d/slurm.conf"
	if got := slurm.slot(slotinfo.Config{}).KillTime(); got != 30*time.Second {
		t.Errorf("%s without a file", got)
	}
	slurm.file("/d/slurm.conf", "# KillWait=1\nMinJobAge=30 killwait=5 SlurmdTimeout=10\n")
	if got := slurm.slot(slotinfo.Config{}).KillTime(); got != 5*time.Second {
		t.Errorf("%s from the file", got)
	}
	if got := slurm.slot(slotinfo.Config{KillTime: time.Minute}).KillTime(); got != time.Minute {
		t.Errorf("%s when configured", got)
	}
	condor := newMachine(t)
	condor.env["_CONDOR_JOB_AD"], condor.env["_CONDOR_MACHINE_AD"] = "/job", "/machine"
	condor.file("/job", "JobMaxVacateTime = 30\n")
	condor.file("/machine", "MachineMaxVacateTime = 8\n")
	if got := condor.slot(slotinfo.Config{}).KillTime(); got != 8*time.Second {
		t.Errorf("%s from HTCondor", got)
	}
	if got := newMachine(t).slot(slotinfo.Config{}).KillTime(); got != 0 {
		t.Errorf("%s out of nothing", got)
	}
}
