#!/usr/bin/env python3
"""A worker that behaves on the wire as the Python worker of the production system does (docs/compatibility.md), for tests.

It reads its brokers from the file that PROMPT_TRANSFORM_CONF names, or asks the PanDA relay for them with the production
client. It takes slices one at a time, answers each with a result of the production shape, sent without a receipt, and
acknowledges. What is tfpilot's own (attempts, failures by class, processing_time) it does not know. Every fourth slice fails at
its first attempt if it is told to.

  worker.py RUN NAMESPACE IDLE_SECONDS [fail]
"""

import configparser
import datetime
import json
import os
import queue
import socket
import sys

import stomp


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()


def brokers():
    if path := os.environ.get("PROMPT_TRANSFORM_CONF"):
        conf = configparser.ConfigParser(interpolation=None)
        conf.read(path)
        return {key: json.loads(text) for key, text in conf["prompt"].items()}
    from pandaclient import idds_api  # looks for its server when it is imported

    api = idds_api.get_api(json.dumps, idds_host=None, compress=True, manager=True)
    status, answer = api.get_metainfo(name="prompt_broker")
    if status != 0 or not answer[0] or answer[1][0] not in (0, True):
        sys.exit(f"the relay answered {status}, {answer}")
    conf = answer[1][1]
    return json.loads(conf) if isinstance(conf, str) else conf


def connect(entry, listener=None):
    names = entry["brokers"]
    names = names.split(",") if isinstance(names, str) else names
    hosts = [(name.rsplit(":", 1)[0].strip(), int(name.rsplit(":", 1)[1])) for name in names]
    conn = stomp.Connection11(hosts, heartbeats=(30000, 30000), auto_content_length=False)
    if listener:
        conn.set_listener("", listener)
    conn.connect(entry["username"], entry["password"], wait=True)
    return conn


class Inbox(stomp.ConnectionListener):
    def __init__(self):
        self.frames = queue.Queue()

    def on_message(self, frame):
        self.frames.put(frame)


def result(slice_, failed):
    content = slice_["content"]
    inner = None
    if not failed:
        inner = dict(content, processed=True, state="processed", actual_processing_time=0.01)
    return {
        "msg_type": "slice_result",
        "run_id": slice_["run_id"],
        "created_at": now(),
        "content": {
            "requested_at": slice_["created_at"],
            "processing_start_at": now(),
            "processed_at": now(),
            "state": "failed" if failed else "done",
            "hostname": socket.gethostname(),
            "panda_server_url": None,
            "panda_task_id": None,
            "panda_id": None,
            "harvester_id": None,
            "result": {"state": not failed, "result": inner, "error": "no such file" if failed else None},
        },
    }


def main(run, namespace, idle, fail=False):
    conf = brokers()
    inbox = Inbox()
    slices = connect(conf["transformer_broker"], inbox)
    results = connect(conf["result_broker"])
    slices.subscribe(
        conf["transformer_broker"]["destination"],
        id=f"{namespace}.SliceSubscriber",
        ack="client-individual",
        headers={"activemq.prefetchSize": "1", "selector": f"namespace='{namespace}' AND (run_id = '{run}')"},
    )
    while True:
        try:
            frame = inbox.frames.get(timeout=idle)
        except queue.Empty:
            break
        slice_ = json.loads(frame.body)
        # By the attempt, because the other worker may get the next one: the test asks for it, a real one knows of no attempts.
        fails = fail and slice_["content"]["slice_id"] % 4 == 3 and slice_["content"].get("attempt", 1) == 1
        body = json.dumps(result(slice_, fails))
        results.send(
            conf["result_broker"]["destination"],
            body,
            headers={
                "persistent": "true", "ttl": "43200000", "vo": "eic", "msg_type": "slice_result", "run_id": slice_["run_id"],
                "namespace": namespace, "client-id": "x.ResultPublisher", "id": "x.ResultPublisher", "ack": "auto",
            },
        )
        slices.ack(frame.headers["message-id"], f"{namespace}.SliceSubscriber")
    for conn in (slices, results):
        conn.disconnect()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), "fail" in sys.argv[4:])
