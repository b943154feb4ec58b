#!/usr/bin/env python3
"""Speaks on the workers' topic as the Python transceiver of the production system does, for tests: STOMP 1.2 with heart-beats, its
headers, its messages, one connection to publish and one to listen. It understands the replies as that does, by their keys.

  transceiver.py HOST:PORT USER NAMESPACE RUN [FACTOR ...]     (password: TFPILOT_TEST_PASSCODE)

It makes a task of each run_imminent_worker, remembers the numbers that it is told, adjusts the task by each factor, and closes it when
the run has ended; it prints a line for each reply, and leaves after closed_workflow_task.
"""

import datetime
import json
import os
import queue
import sys
import threading

import stomp

TOPIC = "/topic/panda.workers"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


class Inbox(stomp.ConnectionListener):
    def __init__(self):
        self.frames = queue.Queue()
        self.listening = threading.Event()

    def on_receipt(self, frame):
        self.listening.set()

    def on_message(self, frame):
        self.frames.put(frame)


def connect(addr, user, listener=None):
    host, port = addr.rsplit(":", 1)
    conn = stomp.Connection12(
        host_and_ports=[(host, int(port))], keepalive=True, try_loopback_connect=False, auto_content_length=False, heartbeats=(50000, 50000)
    )
    if listener:
        conn.set_listener("", listener)
    conn.connect(user, os.environ.get("TFPILOT_TEST_PASSCODE", ""), wait=True)
    return conn


def main(addr, user, namespace, run, *factors):
    inbox = Inbox()
    subscriber = connect(addr, user, inbox)
    subscriber.subscribe(destination=TOPIC, id=1, ack="auto", headers={"selector": f"namespace='{namespace}'", "receipt": "listening"})
    publisher = connect(addr, user)
    factors = [float(f) for f in factors]
    numbers, cores = {}, None
    inbox.listening.wait(60)
    print("listening", flush=True)  # whoever waits for us looks for it

    def publish(msg_type, content, topic=TOPIC):
        body = {"msg_type": msg_type, "run_id": run, "created_at": now(), "content": content}
        if topic == TOPIC:
            body["content"] = {"run_id": run, "created_at": now(), **content}
        headers = {"persistent": "true", "ttl": 43200000, "vo": "eic", "msg_type": msg_type, "run_id": str(run), "namespace": namespace}
        publisher.send(destination=topic, body=json.dumps(body, default=str), headers=headers, content_type="application/json")

    def named():
        return {key: numbers.get(key) for key in ("request_id", "transform_id", "workload_id")}

    def adjust():
        if factors:
            publish("adjust_worker", {**named(), "core_count": int(cores * factors.pop(0)), "memory_per_core": None, "site": None, "streaming_mode": None})

    while True:
        msg = json.loads(inbox.frames.get(timeout=120).body)
        kind, content = msg.get("msg_type"), msg.get("content", {})
        if str(msg.get("run_id")) != run or msg.get("namespace") not in (None, "", namespace):
            continue
        if kind == "run_imminent_worker":
            cores = content.get("num_cores_per_worker") or content.get("core_count") or content.get("target_worker_count")
            publish("create_workflow_task", {"workflow": {
                "scope": "EIC_2026", "name": "EIC_2026_fastproc_BNL-OSG_20260118", "requester": "EIC", "username": "EIC", "transform_tag": "fastproc",
                "content": {**content, "run_id": run, "created_at": now(), "core_count": cores, "memory_per_core": content.get("num_ram_per_core"),
                            "site": "BNL-OSG", "panda_attributes": {"vo": "wlcg"}, "streaming_mode": False},
            }})
        elif kind in ("created_workflow_task", "adjusted_worker", "closed_workflow_task"):
            print(json.dumps({"msg_type": kind, **{key: content.get(key) for key in (
                "run_id", "request_id", "transform_id", "workload_id", "core_count", "num_workers", "status")}}), flush=True)
            numbers.update({key: value for key, value in content.items() if value is not None})
            if kind == "closed_workflow_task":
                break
            adjust()
        elif kind in ("run_end", "end_run", "run_stop"):
            publish("stop_transformer", {"requested_at": msg.get("created_at")}, "/topic/panda.transformer")
            publish("close_workflow_task", named())
    for conn in (subscriber, publisher):
        conn.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
