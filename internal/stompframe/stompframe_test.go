package stompframe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-stomp/stomp/v3/frame"

	"tfpilot/internal/stompframe"
)

// frames reads until nothing is left; each is its command, its headers in order, and its body. A heart-beat is empty.
func frames(r *stompframe.Reader) (got []string, err error) {
	for {
		f, err := r.Read()
		if err != nil {
			return got, err
		}
		if f == nil {
			got = append(got, "")
			continue
		}
		text := f.Command
		for i := range f.Header.Len() {
			key, value := f.Header.GetAt(i)
			text += " " + key + "=" + value
		}
		got = append(got, text+" "+string(f.Body))
	}
}

func TestFramesAreReadHoweverTheyCome(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 100_000)
	wire := "\n\r\nSEND\ndestination:/queue/a\nk:v\nk:w\\c\\n\\\\\\t\ncontent-length:3\n\na\x00b\x00\nRECEIPT\r\nreceipt-id:1\r\n\r\n\x00ACK\n\n\x00" +
		"SEND\nlarge:" + large + "\n\n" + large + "\x00SEND\ncontent-length:100000\n\n" + large + "\x00\n"
	want := []string{
		"", "", "SEND destination=/queue/a k=v k=w:\n\\\\t content-length=3 a\x00b", "", "RECEIPT receipt-id=1 ", "ACK ",
		"SEND large=" + large + " " + large, "SEND content-length=100000 " + large, "",
	}
	for name, r := range map[string]io.Reader{
		"AtOnce": strings.NewReader(wire), "ByteByByte": iotest.OneByteReader(strings.NewReader(wire)),
		"InHalves": iotest.HalfReader(strings.NewReader(wire)), "WithTheEndInTheSameRead": iotest.DataErrReader(strings.NewReader(wire)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := frames(stompframe.NewReader(r, stompframe.Limits{}))
			if !errors.Is(err, io.EOF) || len(got) != len(want) {
				t.Fatalf("%d frames, %v", len(got), err)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%.100q, want %.100q", got[i], want[i])
				}
			}
		})
	}
}

func TestWhatIsNoFrameIsRefused(t *testing.T) {
	t.Parallel()
	limits := stompframe.Limits{HeaderBytes: 100, BodyBytes: 10}
	for wire, want := range map[string]error{
		"HELLO\n":                                       frame.ErrInvalidCommand, // at once: nothing may follow
		"\x16\x03\x01\n":                                frame.ErrInvalidCommand,
		"SEND\nno colon\n\n\x00":                        frame.ErrInvalidFrameFormat,
		"SEND\n:v\n\n\x00":                              frame.ErrInvalidFrameFormat,
		"SEND\ncontent-length:-1\n\n\x00":               frame.ErrInvalidFrameFormat,
		"SEND\ncontent-length:x\n\n\x00":                frame.ErrInvalidFrameFormat,
		"SEND\ncontent-length:1\n\nab\x00":              frame.ErrInvalidFrameFormat,
		"SEND\ncontent-length:11\n\n":                   stompframe.ErrTooLarge,
		"SEND\ncontent-length:99999999999999999999\n\n": frame.ErrInvalidFrameFormat,
		"SEND\ncontent-length:9999999999999999999\n\n":  stompframe.ErrTooLarge,
		"SEND\n\n" + strings.Repeat("x", 11):            stompframe.ErrTooLarge,
		"SEND\nk:" + strings.Repeat("v", 100):           stompframe.ErrTooLarge,
		"SEND\n" + strings.Repeat("k:v\n", 30):          stompframe.ErrTooLarge,
		"SEND\nk:v":                                     io.EOF,
		"SEND\nk:v\n\nbody":                             io.EOF,
		"SEND\ncontent-length:5\n\nbody":                io.EOF,
		"SEND\ncontent-length:4\n\nbody":                io.EOF,
	} {
		// One byte at a time, and then nothing but the end: who waits for more than is needed says that something is missing.
		got, err := frames(stompframe.NewReader(iotest.OneByteReader(strings.NewReader(wire)), limits))
		if !errors.Is(err, want) || len(got) > 0 {
			t.Errorf("%.40q: %q, %v", wire, got, err)
		}
	}
	if _, err := frames(stompframe.NewReader(mute{}, limits)); err == nil {
		t.Error("a connection without bytes and without an error is waited for")
	}
}

func TestABodyHasItsMemoryAsItComes(t *testing.T) {
	t.Parallel()
	largest := 0
	one := readerFunc(func(b []byte) (int, error) {
		largest = max(largest, len(b))
		return 0, io.EOF
	})
	wire := io.MultiReader(strings.NewReader("SEND\ncontent-length:30000000\n\n"), one)
	if _, err := frames(stompframe.NewReader(wire, stompframe.Limits{})); !errors.Is(err, io.EOF) || largest == 0 || largest > 1<<20 {
		t.Errorf("%d bytes are waited for at once: %v", largest, err)
	}
	body := bytes.Repeat([]byte("0123456789"), 350_000)
	sent := fmt.Sprintf("SEND\ncontent-length:%d\n\n%s\x00", len(body), body)
	got, err := frames(stompframe.NewReader(strings.NewReader(sent), stompframe.Limits{}))
	if !errors.Is(err, io.EOF) || len(got) != 1 || !strings.HasSuffix(got[0], string(body)) {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// mute brings nothing, for ever.
type mute struct{}

func (mute) Read([]byte) (int, error) { return 0, nil }

func TestFramesGoOutWhenTheyAreFlushed(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	w := stompframe.NewWriter(&wire)
	write := func(f *frame.Frame) {
		if err := w.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	write(frame.New(frame.CONNECT, "passcode", `p:a\b`))
	write(frame.New(frame.SEND, "k:", "a\\b\nc\r"))
	write(nil)
	if wire.Len() > 0 {
		t.Errorf("%q before the flush", wire.String())
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if got, want := wire.String(), "CONNECT\npasscode:p:a\\b\n\n\x00SEND\nk\\c:a\\\\b\\nc\\r\n\n\x00\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	wire.Reset()
	large := &frame.Frame{Command: frame.SEND, Header: frame.NewHeader(), Body: bytes.Repeat([]byte("x"), 1<<20)}
	write(large)
	write(frame.New(frame.ACK))
	if err := w.Flush(); err != nil || wire.String() != "SEND\n\n"+string(large.Body)+"\x00ACK\n\n\x00" {
		t.Errorf("%d bytes, %v", wire.Len(), err)
	}
}

func TestTheFirstErrorOfAConnectionStays(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	w := stompframe.NewWriter(writer(func([]byte) (int, error) { return 0, broken }))
	if err := w.Write(nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := w.Write(nil); !errors.Is(err, broken) {
		t.Errorf("then %v", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
