package keeper

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"tfpilot/internal/proc"
)

// request is what a keeper is told: to start a program, whose stdin, stdout and stderr come with the message, or to send a
// signal to all that it keeps. SIGKILL is repeated until nothing is left.
type request struct {
	Start  *program       `json:"start,omitempty"`
	Signal syscall.Signal `json:"signal,omitempty"`
}

// program is bytes, because JSON's text has no place for a path or a value that is not UTF-8.
type program struct {
	Path []byte   `json:"path"`
	Args [][]byte `json:"args"`
	Env  [][]byte `json:"env"`
	Dir  []byte   `json:"dir"`
}

func newProgram(c proc.Command) *program {
	bytes := func(list []string) (out [][]byte) {
		for _, text := range list {
			out = append(out, []byte(text))
		}
		return out
	}
	return &program{Path: []byte(c.Path), Args: bytes(c.Args), Env: bytes(c.Env), Dir: []byte(c.Dir)}
}

// command is what the kernel is to start.
func (p program) command() (path string, argv []string, attr *syscall.ProcAttr) {
	text := func(list [][]byte) (out []string) {
		for _, b := range list {
			out = append(out, string(b))
		}
		return out
	}
	return string(p.Path), append([]string{string(p.Path)}, text(p.Args)...), &syscall.ProcAttr{Dir: string(p.Dir), Env: text(p.Env)}
}

// reply is what a keeper says: that it is ready, that it could not start something, or that all of a program is gone.
type reply struct {
	Ready bool          `json:"ready,omitempty"`
	Error string        `json:"error,omitempty"`
	Errno syscall.Errno `json:"errno,omitempty"`
	Ended *ended        `json:"ended,omitempty"`
}

// ended is how a program ended, with what all processes took that the keeper has waited for.
type ended struct {
	Status      syscall.WaitStatus `json:"status"`
	User        int64              `json:"user_us"`
	System      int64              `json:"system_us"`
	MaxRSSBytes int64              `json:"max_rss_bytes"`
	Read        int64              `json:"read_bytes"`
	Written     int64              `json:"written_bytes"`
	LeftBehind  int                `json:"left_behind"`
	Unkillable  bool               `json:"unkillable,omitempty"`
}

// line is one end of the socket between a keeper and its starter.
type line interface {
	io.ReadWriter
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
	WriteMsgUnix(b, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
}

// blocking is a keeper's end. A keeper waits on its one thread: other ones to wait for it would cost each program several switches
// between them.
type blocking int

func (fd blocking) Read(b []byte) (int, error) {
	n, err := again(func() (int, error) { return unix.Read(int(fd), b) })
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (fd blocking) Write(b []byte) (sum int, err error) {
	for sum < len(b) && err == nil {
		var n int
		n, err = again(func() (int, error) { return unix.SendmsgN(int(fd), b[sum:], nil, nil, unix.MSG_NOSIGNAL) })
		sum += max(n, 0)
	}
	return sum, err
}

func (fd blocking) ReadMsgUnix(b, oob []byte) (n, oobn, flags int, _ *net.UnixAddr, err error) {
	n, err = again(func() (n int, err error) {
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC)
		return n, err
	})
	return n, oobn, flags, nil, err
}

func (fd blocking) WriteMsgUnix(b, _ []byte, _ *net.UnixAddr) (n, oobn int, err error) {
	n, err = fd.Write(b)
	return n, 0, err
}

// again calls until no signal interrupts.
func again(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// maxMessage is beyond any environment that the kernel takes.
const maxMessage = 16 << 20

// send writes a message: its length with the files, then its JSON.
func send(conn line, message any, files ...*os.File) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix(binary.BigEndian.AppendUint32(nil, uint32(len(body))), rights, nil); err != nil {
		return err
	}
	_, err = conn.Write(body)
	return err
}

// receive reads a message and the files that came with it.
func receive(conn line, message any) ([]*os.File, error) {
	var length [4]byte
	rights := make([]byte, unix.CmsgSpace(3*4))
	n, got, _, _, err := conn.ReadMsgUnix(length[:], rights)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	files, err := filesOf(rights[:got])
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, length[n:]); err != nil {
		return files, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxMessage {
		return files, fmt.Errorf("a message of %d bytes", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return files, err
	}
	return files, json.Unmarshal(body, message)
}

func filesOf(rights []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "stream"))
		}
	}
	return files, nil
}
