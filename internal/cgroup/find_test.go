package cgroup_test

import (
	"testing"

	"tfpilot/internal/cgroup"
)

func TestTheGroupOfThisProcessIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		membership, mounts string
		want               [3]string
	}{
		"v2": {
			"0::/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0\n",
			"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			[3]string{"/sys/fs/cgroup/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0"},
		},
		"v1 and v2": {
			"8:pids:/\n6:freezer:/slurm/uid_1/job_2\n4:cpu,memory:/htcondor/slot1\n0::/\n",
			"35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n" +
				"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			[3]string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory/htcondor/slot1", "/sys/fs/cgroup/freezer/slurm/uid_1/job_2"},
		},
		"container that sees its own part": {
			"4:memory:/docker/abc\n0::/docker/abc/x\n",
			"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n41 31 0:38 /docker/abc /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			[3]string{"/sys/fs/cgroup/unified/x", "/sys/fs/cgroup/memory", ""},
		},
		"outside of the mount": {
			"4:memory:/docker/abcdef\n0::/../other\n",
			"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n41 31 0:38 /docker /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			[3]string{},
		},
		"none":    {"", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", [3]string{}},
		"garbage": {"x\n1:2\n::\n", "- \n1 2 3 4 5 - cgroup2\n", [3]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := cgroup.Find(c.membership, c.mounts); got != c.want {
				t.Errorf("%q", got)
			}
		})
	}
}
