package slotinfo_test

import (
	"maps"
	"testing"

	"tfpilot/pilot/slotinfo"
)

func TestCoresAndMemoryAreTheAllocationsNotTheNodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		env   map[string]string
		files map[string]string
		cores int
		// source of cores, and memory with its source
		coresBy  string
		memoryMB int64
		memoryBy string
	}{
		{"nothing but the node", nil, nil, 64, "sched_getaffinity", 64000, "/proc/meminfo MemTotal, the whole node"},
		{
			"cgroup v2, the tightest of a nest",
			nil,
			map[string]string{
				"/proc/self/cgroup":                         "0::/batch/job7/task",
				"/sys/fs/cgroup/batch/job7/task/memory.max": "max",
				"/sys/fs/cgroup/batch/job7/memory.max":      "2097152000",
				"/sys/fs/cgroup/batch/memory.max":           "8388608000",
				"/sys/fs/cgroup/batch/job7/cpu.max":         "250000 100000",
				"/sys/fs/cgroup/batch/cpu.max":              "max 100000",
			},
			2, "cgroup v2 /batch/job7/cpu.max", 2000, "cgroup v2 /batch/job7/memory.max",
		},
		{
			"cgroup v1, of which the path is hidden",
			nil,
			map[string]string{
				"/proc/self/cgroup":                            "5:memory:/slurm/uid_1/job_7\n4:cpu,cpuacct:/slurm/uid_1/job_7\n3:pids:/x\n0::/",
				"/sys/fs/cgroup/memory/memory.limit_in_bytes":  "1048576000",
				"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "50000",
				"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
			},
			1, "cgroup v1 /cpu,cpuacct/cpu.cfs_quota_us", 1000, "cgroup v1 /memory/memory.limit_in_bytes",
		},
		{
			"cgroup v1 without limits",
			nil,
			map[string]string{
				"/proc/self/cgroup":                           "5:memory:/\n4:cpu:/",
				"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
				"/sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "-1",
				"/sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000",
			},
			64, "sched_getaffinity", 64000, "/proc/meminfo MemTotal, the whole node",
		},
		{
			"Slurm, memory for each core",
			map[string]string{"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "100"},
			nil,
			4, "SLURM_CPUS_ON_NODE", 400, "SLURM_MEM_PER_CPU",
		},
		{
			"a task of srun",
			map[string]string{"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_CPUS_ON_NODE": "4", "SLURM_CPUS_PER_TASK": "2", "SLURM_MEM_PER_NODE": "3000"},
			nil,
			2, "SLURM_CPUS_PER_TASK", 3000, "SLURM_MEM_PER_NODE",
		},
		{
			"HTCondor",
			map[string]string{"_CONDOR_JOB_AD": "/ads/job", "_CONDOR_MACHINE_AD": "/ads/machine"},
			map[string]string{"/ads/machine": "Cpus = 8\nMemory = 16000\nName = \"slot1_1@n7\"\n"},
			8, "_CONDOR_MACHINE_AD Cpus", 16000, "_CONDOR_MACHINE_AD Memory",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.file("/proc/meminfo", "MemTotal:       65536000 kB\nMemFree: 1 kB\n")
			maps.Copy(m.env, c.env)
			for path, text := range c.files {
				m.file(path, text)
			}
			s := m.slot(slotinfo.Config{})
			coresBy := counts(t, s.Document(), "cores")
			memoryBy := counts(t, s.Document(), "memory")
			if s.Cores() != c.cores || coresBy != c.coresBy {
				t.Errorf("%d cores by %s, want %d by %s", s.Cores(), coresBy, c.cores, c.coresBy)
			}
			if s.Memory()>>20 != c.memoryMB || memoryBy != c.memoryBy {
				t.Errorf("%d MB by %s, want %d by %s", s.Memory()>>20, memoryBy, c.memoryMB, c.memoryBy)
			}
		})
	}
}

func TestWhatDoesNotCountIsShownToo(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.env["SLURM_JOB_ID"], m.env["SLURM_CPUS_ON_NODE"] = "7", "4"
	var sources []string
	for _, f := range m.slot(slotinfo.Config{}).Document().Facts {
		if f.Name == "cores" {
			sources = append(sources, f.Source)
		}
	}
	if len(sources) != 2 {
		t.Errorf("cores by %v", sources)
	}
}

func TestAsManyPayloadsAsFit(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.env["SLURM_JOB_ID"], m.env["SLURM_CPUS_ON_NODE"], m.env["SLURM_MEM_PER_NODE"] = "7", "8", "10100"
	s := m.slot(slotinfo.Config{})
	for _, c := range []struct {
		cores    int
		memoryMB int64
		want     int
	}{
		{0, 0, 8},
		{2, 0, 4},
		{3, 1000, 2},
		{1, 2000, 5},
		{1, 20000, 1},
		{16, 1, 1},
	} {
		if got := s.Fit(c.cores, c.memoryMB<<20); got != c.want {
			t.Errorf("%d cores and %d MB each: %d fit, want %d", c.cores, c.memoryMB, got, c.want)
		}
	}
}
