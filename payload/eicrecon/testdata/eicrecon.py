"""A stand-in for EICrecon, as its users see it: one process per slice, or a daemon that is asked over ZeroMQ. It reads and writes
texts instead of ROOT files: a line "edm4hep", then a line for each event. An event that is one of the words in FAULTS goes wrong.
EICRECON_FAULT in the environment says what goes wrong with the daemon itself.
"""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time

FAULTS = {
    "crash": "the process is gone, without a word",
    "abort": "it ends with a status, and a word on stderr",
    "hang": "it never comes back",
    "late": "it takes three seconds",
    "lose": "the event is not in the output",
    "double": "the event is there twice",
    "garbage": "the reply is no JSON",
    "list": "the reply is JSON, but no object",
    "other": "the reply is that of another request",
    "mute": "the reply says nothing",
    "frames": "the reply has three parts",
    "flood": "the reply has 64 MB",
    "nowriter": "the writer is gone",
    "nofile": "the output is not there",
    "grow": "it takes 400 MB",
    "burn": "it computes for ever",
    "fill": "20 MB lie in the output's folder, and it waits",
    "print": "it prints 20 MB",
    "leave": "a process whose parent has ended is left behind",
    "remove": "the output's folder is gone",
}


class Parameters:
    def __init__(self, argv):
        self.files = [a for a in argv if not a.startswith("-P")]
        self.values = dict(a[2:].split("=", 1) for a in argv if a.startswith("-P"))

    def __getitem__(self, key):
        return self.values[key]

    def get(self, key, standard):
        return self.values.get(key, standard)


def die(why, status=1):
    print(why, file=sys.stderr, flush=True)
    os._exit(status)


def crash():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGSEGV)


def read(name):
    if not os.path.exists(name):
        raise RuntimeError(f"Input file does not exist: {name}")
    with open(name, encoding="utf-8") as f:
        lines = f.read().splitlines()
    if not lines or lines[0] != "edm4hep":
        raise RuntimeError(f'Problem opening file "{name}"')
    return lines[1:]


def reconstruct(events, output):
    """Returns how many events are in the output, and what goes wrong with the reply."""
    try:
        out = open(output, "w", encoding="utf-8")
    except OSError as e:
        raise RuntimeError(f"Failed to create writer for file '{output}' with backend 'root': {e.strerror}") from e
    wrong, n = "", 0
    with out:
        out.write("edm4eic\n")
        for event in events:
            print(f"reconstructing {event}", flush=True)
            if event == "crash":
                crash()
            elif event == "abort":
                die("JANA: unhandled exception", 3)
            elif event == "hang":
                while True:
                    time.sleep(1)
            elif event == "late":
                time.sleep(3)
            elif event == "grow":
                held = b"x" * 400_000_000
                time.sleep(60)
                del held
            elif event == "burn":
                while True:
                    pass
            elif event == "fill":
                with open(output + ".tmp", "wb") as f:
                    f.write(b"x" * (20 << 20))
                time.sleep(60)
            elif event == "print":
                for _ in range(20):
                    print("x" * ((1 << 20) - 1), flush=True)
            elif event == "leave":
                subprocess.run(["sh", "-c", "sleep 300.7 >/dev/null 2>&1 &"], check=True)
            elif event == "remove":
                shutil.rmtree(os.path.dirname(output))
            elif event in FAULTS:
                wrong = event
            for _ in range({"lose": 0, "double": 2}.get(event, 1)):
                out.write(event + "\n")
                n += 1
    if wrong == "nofile":
        os.remove(output)
    return n, wrong


def oneshot(p):
    try:
        events = read(p.files[0])
        skip = min(int(p["jana:nskip"]), len(events))
        reconstruct(events[skip : skip + int(p["jana:nevents"])], p["podio:output_file"])
    except RuntimeError as e:
        die(str(e))


def answer(text):
    """The reply to a request, and what goes wrong with it."""
    try:
        request = json.loads(text)
    except ValueError as e:
        return {"status": "error", "message": f"Invalid JSON: {e}"}, ""
    if "input_file" not in request or "output_file" not in request:
        return {"status": "error", "message": "Request must contain 'input_file' and 'output_file' fields"}, ""
    try:
        events = read(request["input_file"])
        skip = min(request.get("nskip", 0), len(events))
        some = request.get("nevents", 0) or len(events)
        n, wrong = reconstruct(events[skip : skip + some], request["output_file"])
    except RuntimeError as e:
        return {"status": "error", "message": f"Processing error: {e}"}, ""
    if wrong == "nowriter":
        return {"status": "error", "message": "No active writer to close"}, ""
    return {
        "status": "completed",
        "input_file": request["input_file"],
        "output_file": request["output_file"],
        "events_processed": n,
    }, wrong


def managed(path, fault):
    import zmq  # only the daemon needs it

    print("starting", flush=True)
    if fault == "exit":
        die("geometry not found", 1)
    if fault == "slow":
        time.sleep(1)
    if fault == "never":
        time.sleep(3600)
    if os.path.exists(path):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            die(f"Failed to initialize ZeroMQ: Path exists but is not a socket: {path}")
        os.remove(path)
    stopped = []
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, (lambda *_: None) if fault == "stubborn" else (lambda *_: stopped.append(1)))
    context = zmq.Context()
    socket = context.socket(zmq.PUB if fault == "pub" else zmq.REP)
    socket.bind("ipc://" + path)
    print(f"ZeroMQ socket bound to: ipc://{path}", flush=True)
    while not stopped:
        if fault == "pub" or not socket.poll(100):
            time.sleep(0.1 if fault == "pub" else 0)
            continue
        reply, wrong = answer(socket.recv())
        text = json.dumps(reply).encode()
        if wrong == "garbage":
            text = b"\x00\xff not JSON"
        elif wrong == "list":
            text = b"[" + text + b"]"
        elif wrong == "other":
            text = text.replace(b".edm4eic.root", b".other.root")
        elif wrong == "mute":
            text = b"{}"
        elif wrong == "flood":
            text = b'{"status": "' + b"x" * 64_000_000 + b'"}'
        socket.send_multipart([b"a", b"b", b"c"] if wrong == "frames" else [text])
    if fault == "leaves":
        os._exit(0)
    socket.close()
    context.term()
    if os.path.exists(path):
        os.remove(path)


def main():
    p = Parameters(sys.argv[1:])
    if p.get("jana:timeout", "") != "0" or p.get("nthreads", "") != "1":
        die("it would time out, or use more than one thread")
    path = p.get("podio:managed_socket_path", "")
    if path:
        managed(path, os.environ.get("EICRECON_FAULT", ""))
    else:
        oneshot(p)


if __name__ == "__main__":
    main()
