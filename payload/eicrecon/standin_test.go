package eicrecon_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// standIn is the reconstruction, in small: what testdata/eicrecon.py is, without its libzmq, for tests that need no Python. The
// events of its files are lines; some of them are faults.
func standIn(argv []string) {
	file, set := arguments(argv)
	if set["jana:timeout"] != "0" || set["nthreads"] != "1" {
		die("it would time out, or use more than one thread", 1)
	}
	if path := set["podio:managed_socket_path"]; path != "" {
		managed(path, os.Getenv("EICRECON_FAULT"))
		return
	}
	skip, _ := strconv.Atoi(set["jana:nskip"])
	n, _ := strconv.Atoi(set["jana:nevents"])
	if _, _, err := reconstruct(file, skip, n, set["podio:output_file"]); err != nil {
		die(err.Error(), 1)
	}
}

// arguments are the file and the parameters of a command line.
func arguments(argv []string) (file string, set map[string]string) {
	set = map[string]string{}
	for _, arg := range argv {
		if key, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(key, "-P") {
			set[key[2:]] = value
		} else {
			file = arg
		}
	}
	return file, set
}

func die(why string, status int) {
	fmt.Fprintln(os.Stderr, why)
	syscall.Exit(status)
}

// reconstruct returns how many events are in the output, and what goes wrong with the reply.
func reconstruct(file string, skip, n int, output string) (events int, wrong string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, "", errors.New("Input file does not exist: " + file)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if lines[0] != "edm4hep" {
		return 0, "", fmt.Errorf("Problem opening file %q", file)
	}
	all := lines[min(1+skip, len(lines)):]
	out := "edm4eic\n"
	for _, event := range all[:min(n, len(all))] {
		fmt.Fprintln(os.Stdout, "reconstructing", event)
		switch event {
		case "crash":
			signal.Reset(syscall.SIGTERM)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		case "abort":
			die("JANA: unhandled exception", 3)
		case "hang":
			select {}
		case "burn":
			for end := time.Now().Add(time.Minute); time.Now().Before(end); {
				continue
			}
		case "fill":
			if err := os.WriteFile(output+".tmp", make([]byte, 20<<20), 0o600); err != nil {
				die(err.Error(), 1)
			}
			select {}
		case "print":
			line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
			for range 20 {
				_, _ = os.Stdout.Write(line)
			}
		case "leave": // a process whose parent has ended
			if err := exec.CommandContext(context.Background(), "sh", "-c", "sleep 300.7 >/dev/null 2>&1 &").Run(); err != nil {
				die(err.Error(), 1)
			}
		case "remove":
			if err := os.RemoveAll(filepath.Dir(output)); err != nil {
				die(err.Error(), 1)
			}
		case "lose":
			wrong = event
			continue
		case "garbage", "other", "mute", "nowriter", "nofile":
			wrong = event
		}
		out += event + "\n"
		events++
	}
	if wrong != "nofile" {
		// As the real one, it has it open from the beginning.
		if _, err := os.Stat(filepath.Dir(output)); err != nil {
			return events, wrong, nil //nolint:nilerr // it is gone
		}
		if err := os.WriteFile(output, []byte(out), 0o600); err != nil {
			return 0, "", fmt.Errorf("Failed to create writer for file %q", output)
		}
	}
	return events, wrong, nil
}

func managed(path, fault string) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	switch fault {
	case "exit":
		die("geometry not found", 1)
	case "never":
		<-stop
		return
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		die(err.Error(), 1)
	}
	go func() {
		for range stop {
			if fault != "stubborn" {
				syscall.Exit(0) // the socket is left
			}
		}
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			die(err.Error(), 1)
		}
		if serve(conn, answer) != nil {
			_ = conn.Close()
		}
	}
}

// serve is a REP socket for one connection.
func serve(conn net.Conn, answer func(text []byte) string) error {
	if _, err := io.WriteString(conn, greeting+ready); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, make([]byte, len(greeting))); err != nil {
		return err
	}
	for {
		text, command, err := readFrame(conn)
		if err != nil {
			return err
		}
		if command || len(text) == 0 {
			continue
		}
		reply := answer(text)
		head := append([]byte("\x01\x00\x02"), binary.BigEndian.AppendUint64(nil, uint64(len(reply)))...)
		if _, err := conn.Write(append(head, reply...)); err != nil {
			return err
		}
	}
}

func readFrame(r io.Reader) (text []byte, command bool, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false, err
	}
	size := uint64(head[1])
	if head[0]&2 != 0 {
		long := make([]byte, 8)
		long[0] = head[1]
		if _, err := io.ReadFull(r, long[1:]); err != nil {
			return nil, false, err
		}
		size = binary.BigEndian.Uint64(long)
	}
	text = make([]byte, size)
	_, err = io.ReadFull(r, text)
	return text, head[0]&4 != 0, err
}

func answer(text []byte) string {
	var asked struct {
		Input  string `json:"input_file"`
		Output string `json:"output_file"`
		Skip   int    `json:"nskip"`
		Events int    `json:"nevents"`
	}
	if err := json.Unmarshal(text, &asked); err != nil {
		return `{"status":"error","message":"Invalid JSON"}`
	}
	events, wrong, err := reconstruct(asked.Input, asked.Skip, asked.Events, asked.Output)
	if err != nil {
		return fmt.Sprintf(`{"status":"error","message":%q}`, "Processing error: "+err.Error())
	}
	switch wrong {
	case "garbage":
		return "\x00\xff no JSON"
	case "mute":
		return "{}"
	case "other":
		asked.Output += ".other"
	case "nowriter":
		return `{"status":"error","message":"No active writer to close"}`
	}
	return fmt.Sprintf(`{"status":"completed","input_file":%q,"output_file":%q,"events_processed":%d}`, asked.Input, asked.Output, events)
}
