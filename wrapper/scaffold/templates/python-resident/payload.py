#!/usr/bin/env python3
"""PAYLOAD_NAME: works on slices, ranges of time frames of one file, one after another. Its process stays between them."""

import json
import os
import sys
import traceback

from work import Failure, work


def answer(request):
    """What becomes of a request: status 0 and a result, or the status and the words of a failure."""
    reply = {"req_id": request["req_id"]}
    try:
        result = work(request["input"], request["first"], request["last"], request["dir"])
    except Failure as e:
        return {**reply, "status": e.status, "message": str(e)}
    except Exception as e:  # the next slice may be better
        traceback.print_exc()
        return {**reply, "status": 1, "message": f"{type(e).__name__}: {e}"}
    return {**reply, "status": 0, "message": f"counted {result['counts']}", "result": result}


def main():
    # stdout is for replies alone: what libraries print there goes to stderr, which is for people.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # What is the same for all slices (geometry, calibration, models) is made ready here, once.
    print(json.dumps({"ready": True}), file=replies)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=replies)


if __name__ == "__main__":
    main()
