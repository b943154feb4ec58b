#!/usr/bin/env python3
"""PAYLOAD_NAME: works on a slice, a range of time frames of one file. A process is started for every slice."""

import json
import os
import sys

from work import Failure, work


def main():
    env = os.environ
    try:
        result = work(env["TFPILOT_INPUT"], int(env["TFPILOT_FIRST"]), int(env["TFPILOT_LAST"]), os.getcwd())
    except Failure as e:
        print(e, file=sys.stderr)  # the last line on stderr stands in the message of the failure
        return e.status
    result["req_id"] = env["TFPILOT_REQ_ID"]
    with open(env["TFPILOT_RESULT"], "w") as f:
        json.dump(result, f)
    print("counted", result["counts"])  # for people
    return 0


if __name__ == "__main__":
    sys.exit(main())
