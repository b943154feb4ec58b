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
var acts = map[string]func(task) failure{
	success:             succeed,
	"permanent failure": func(task) failure { return failure{11, "never will it"} },
	"transient failure": func(task) failure { return failure{1, "not this time"} },
	"data failure":      func(task) failure { return failure{21, "a frame is damaged"} },
	"crash": func(task) failure {
		panic(syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -SEGV $$"}, nil)) // Go makes an exit status of a signal that it can catch
	},
	"killed by nobody knows whom": func(task) failure {
		panic(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	},
	"hang":         func(task) failure { return wait() },
	"does nothing": func(task) failure { return wait() },
	"ignores TERM": func(task) failure {
		signal.Ignore(syscall.SIGTERM)
		return wait()
	},
	"answers late": func(t task) failure {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		return succeed(t)
	},
	"leaves daemons": func(t task) failure {
		for range daemons {
			startDaemon()
		}
		return succeed(t)
	},
	"floods its output": func(t task) failure {
		line := append(bytes.Repeat([]byte("x"), 1<<20-1), '\n')
		for range 20 {
			_, _ = os.Stderr.Write(line)
		}
		return succeed(t)
	},
	"prints garbage": func(t task) failure {
		_, _ = os.Stdout.WriteString("\x00\xff{\"req_id\":\n\x1b[2J}}{{[]\n")
		return succeed(t)
	},
	"no result":     func(task) failure { return failure{} },
	"broken result": func(t task) failure { t.say(`{"counts":{"success":`); return failure{} },
	"result of another slice": func(t task) failure {
		t.reqID = "another"
		return succeed(t)
	},
	"answers twice": func(t task) failure {
		t.say(t.good())
		return succeed(t)
	},
	diesBetween: succeed,
	"takes too much memory": func(task) failure {
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
	"takes too much CPU": func(task) failure { return burn() },
	"changes its limits": func(task) failure {
		if err := syscall.Setrlimit(rlimitCPU, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
			return failure{1, err.Error()}
		}
		return burn()
	},
	"opens too many files": func(t task) failure {
		for range 300 {
			f, err := os.Open(t.dir)
			if err != nil {
				return failure{1, err.Error()}
			}
			defer func() { _ = f.Close() }()
		}
		return wait()
	},
	"is slow": func(t task) failure {
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			fmt.Fprintln(os.Stderr, "alive")
			<-time.After(100 * time.Millisecond)
		}
		return succeed(t)
	},
	"writes 10 GB": func(t task) failure {
		f, err := os.Create(filepath.Join(t.dir, "large"))
		if err != nil {
			return failure{1, err.Error()}
		}
		block := make([]byte, 1<<20)
		for range 10 << 10 {
			if _, err := f.Write(block); err != nil {
				return failure{1, err.Error()}
			}
			<-time.After(10 * time.Millisecond) // the disk is that of others too
		}
		return succeed(t)
	},
	"writes a hole of 10 GB": func(t task) failure {
		path := filepath.Join(t.dir, "large")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return failure{1, err.Error()}
		}
		if err := os.Truncate(path, 10<<30); err != nil {
			return failure{1, err.Error()}
		}
		<-time.After(1500 * time.Millisecond) // until it is looked at
		return succeed(t)
	},
	"makes too large an output": func(t task) failure {
		if err := os.WriteFile(filepath.Join(t.dir, "large"), make([]byte, 3<<20), 0o600); err != nil {
			return failure{1, err.Error()}
		}
		t.say(`{"outputs":[{"name":"large"}]}`)
		return failure{}
	},
	"deletes its work directory": func(t task) failure {
		if err := os.RemoveAll(t.dir); err != nil {
			return failure{1, err.Error()}
		}
		return succeed(t)
	},
}

// rlimitCPU is RLIMIT_CPU.
const rlimitCPU = 0

func succeed(t task) failure {
	t.say(t.good())
	return failure{}
}

// wait waits to be ended.
func wait() failure {
	<-time.After(time.Hour)
	return failure{1, "nobody has ended it"}
}

// burn uses a processor until it is ended.
func burn() failure {
	x := uint64(1)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		for range 1_000_000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	return failure{1, fmt.Sprint("nobody has ended it: ", x)}
}
