package program

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// managerEvery is how often a service manager hears how things are.
const managerEvery = time.Second

// Manager is the service manager that has started the program, as systemd does with Type=notify (sd_notify(3)). Without one nothing is
// told to anybody. What cannot be told is not repeated: the manager finds out by its own limits, and says so.
type Manager struct {
	addr     string
	watchdog time.Duration // 0: nobody watches
}

// ServiceManager is the one that the environment names.
func ServiceManager() Manager {
	m := Manager{addr: os.Getenv("NOTIFY_SOCKET")}
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) { // of another process: we inherited it
		usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
		if err == nil && usec > 0 {
			m.watchdog = time.Duration(usec) * time.Microsecond
		}
	}
	return m
}

// Status is what `systemctl status` shows.
func (m Manager) Status(text string) { m.tell("STATUS=" + oneLine(text)) }

// Ready says that whoever waits for the service may go on.
func (m Manager) Ready() { m.tell("READY=1") }

// Run tells how things are until the context ends, and then that the program is on its way out. That status answers is what a
// watchdog waits for: when it does not, the manager ends the program and starts it again.
func (m Manager) Run(ctx context.Context, status func() string) error {
	if m.addr == "" {
		return nil
	}
	every := managerEvery
	if m.watchdog > 0 {
		every = min(every, m.watchdog/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		m.tell("WATCHDOG=1\nSTATUS=" + oneLine(status()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			m.tell("STOPPING=1\nSTATUS=on its way out")
			return nil
		}
	}
}

func (m Manager) tell(state string) {
	if m.addr == "" {
		return
	}
	addr := m.addr
	if name, abstract := strings.CutPrefix(addr, "@"); abstract {
		addr = "\x00" + name
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: addr, Net: "unixgram"})
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(state))
	_ = conn.Close()
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", "; ") }
