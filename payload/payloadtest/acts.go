package payloadtest

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// acts are what the program does with a slice, by the name of the behaviour. What they do to themselves they do before they answer.
var acts = map[string]func(Task) Failure{
	success:             succeed,
	"permanent failure": func(Task) Failure { return Failure{11, "never will it"} },
	"transient failure": func(Task) Failure { return Failure{1, "not this time"} },
	"data failure":      func(Task) Failure { return Failure{21, "a frame is damaged"} },
	"crash": func(Task) Failure {
		panic(syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -SEGV $$"}, nil)) // Go makes an exit status of a signal that it can catch
	},
	"killed by nobody knows whom": func(Task) Failure {
		panic(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	},
	"hang":         func(Task) Failure { return wait() },
	"does nothing": func(Task) Failure { return wait() },
	"ignores TERM": func(Task) Failure {
		signal.Ignore(syscall.SIGTERM)
		return wait()
	},
	"answers late": func(t Task) Failure {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		return succeed(t)
	},
	"leaves daemons": func(t Task) Failure {
		for range daemons {
			startDaemon()
		}
		return succeed(t)
	},
	"floods its output": func(t Task) Failure {
		line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
		for range 20 {
			_, _ = os.Stderr.Write(line)
		}
		return succeed(t)
	},
	"prints garbage": func(t Task) Failure {
		_, _ = os.Stdout.WriteString("\x00\xff{\"req_id\":\n\x1b[2J}}{{[]\n")
		return succeed(t)
	},
	"no result":     func(Task) Failure { return Failure{} },
	"broken result": func(t Task) Failure { t.Say(`{"counts":{"success":`); return Failure{} },
	"result of another slice": func(t Task) Failure {
		t.ReqID = "another"
		return succeed(t)
	},
	"answers twice": func(t Task) Failure {
		t.Say(t.good())
		return succeed(t)
	},
	diesBetween: succeed,
	"takes too much memory": func(Task) Failure {
		const most = 1024 // MB: should nobody end it, the machine is to live on
		held := make([][]byte, 0, most)
		for range most {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			held = append(held, b)
		}
		f := wait()
		fmt.Fprintln(os.Stderr, len(held))
		return f
	},
	"takes too much CPU": func(Task) Failure { return burn() },
	"changes its limits": func(Task) Failure {
		if err := syscall.Setrlimit(rlimitCPU, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
			return Failure{1, err.Error()}
		}
		return burn()
	},
	"opens too many files": func(t Task) Failure {
		for range 300 {
			f, err := os.Open(t.Dir)
			if err != nil {
				return Failure{1, err.Error()}
			}
			defer func() { _ = f.Close() }()
		}
		return wait()
	},
	"is slow": func(t Task) Failure {
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			fmt.Fprintln(os.Stderr, "alive")
			<-time.After(100 * time.Millisecond)
		}
		return succeed(t)
	},
	"writes 10 GB": func(t Task) Failure {
		f, err := os.Create(filepath.Join(t.Dir, "large"))
		if err != nil {
			return Failure{1, err.Error()}
		}
		block := make([]byte, 1<<20)
		for range 10 << 10 {
			if _, err := f.Write(block); err != nil {
				return Failure{1, err.Error()}
			}
			<-time.After(10 * time.Millisecond) // the disk is that of others too
		}
		return succeed(t)
	},
	"writes a hole of 10 GB": func(t Task) Failure {
		path := filepath.Join(t.Dir, "large")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return Failure{1, err.Error()}
		}
		if err := os.Truncate(path, 10<<30); err != nil {
			return Failure{1, err.Error()}
		}
		<-time.After(1500 * time.Millisecond) // until it is looked at
		return succeed(t)
	},
	"makes too large an output": func(t Task) Failure {
		if err := os.WriteFile(filepath.Join(t.Dir, "large"), make([]byte, 3<<20), 0o600); err != nil {
			return Failure{1, err.Error()}
		}
		t.Say(`{"outputs":[{"name":"large"}]}`)
		return Failure{}
	},
	"deletes its work directory": func(t Task) Failure {
		if err := os.RemoveAll(t.Dir); err != nil {
			return Failure{1, err.Error()}
		}
		return succeed(t)
	},
}

// rlimitCPU is RLIMIT_CPU.
const rlimitCPU = 0

func succeed(t Task) Failure {
	t.Say(t.good())
	return Failure{}
}

// wait waits to be ended.
func wait() Failure {
	<-time.After(time.Hour)
	return Failure{1, "nobody has ended it"}
}

// burn uses a processor until it is ended.
func burn() Failure {
	x := uint64(1)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		for range 1_000_000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	return Failure{1, fmt.Sprint("nobody has ended it: ", x)}
}
