package stomp_test

import (
	"net"
	"testing"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stomp"
)

func TestAPasscodeThatABrokerRepeatsIsMaskedAndTheRestCanBeRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ login, passcode, said, want string }{
		{"panda", "s3cret-passcode", "panda/s3cret-passcode is refused", "panda/*** is refused"},
		{"panda", "x7", "no such passcode:x7y", "no such passcode:***y"},
		{"panda", "admin", "the administration has no user panda with admin", "the administration has no user panda with ***"},
		{"panda", "ключ", "no such passcode: ключ", "no such passcode: ***"},
		{"panda", "a.b+", "a.b+ axb+", "*** axb+"},
		{"guest", "guest", "Unable to validate user. Username: guest", "Unable to validate user. Username: guest"},
		{"", "guest", "a guest has to log in", "a guest has to log in"}, // none was sent
	} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			p := newPeer(t, theirs)
			p.next(frame.CONNECT)
			p.send(frame.ERROR, "message", c.said)
		}()
		_, err := stomp.NewConn(t.Context(), ours, stomp.Config{Login: c.login, Passcode: c.passcode})
		if err == nil || err.Error() != "broker refused: "+c.want {
			t.Errorf("%s with %s: %v", c.login, c.passcode, err)
		}
	}
}
