package rangefile

import (
	"crypto/tls"
	"math"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roundTrip asks the kernel, whose measure a busy node does not disturb; 0 when it does not say.
func roundTrip(c net.Conn) (rtt time.Duration) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.Min_rtt != math.MaxUint32 {
			rtt = time.Duration(info.Min_rtt) * time.Microsecond
		}
	})
	return rtt
}
