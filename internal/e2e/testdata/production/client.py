#!/usr/bin/env python3
"""Asks idds for workers with iDDS' own client and with PanDA's relay client, and says what does not answer as an iDDS does.

  client.py URL RUN              (tokens: TFPILOT_TEST_OPERATOR, TFPILOT_TEST_PILOT)

It ends with status 0 when all did, and leaves behind: the run's task with 36 workers at the site BNL-2, made by both and closed by
neither.
"""

import json
import os
import sys

url, run = sys.argv[1], sys.argv[2]
operator, pilot = os.environ["TFPILOT_TEST_OPERATOR"], os.environ["TFPILOT_TEST_PILOT"]
os.environ.update(
    IDDS_AUTH_TYPE="oidc", IDDS_VO="EIC", IDDS_OIDC_TOKEN=operator, PANDA_URL_SSL=url + "/server/panda", PANDA_URL=url + "/server/panda",
    PANDA_AUTH="oidc", PANDA_AUTH_VO="EIC", PANDA_AUTH_ID_TOKEN=operator, PANDA_BEHIND_REAL_LB="true",
)

from idds.client.client import Client  # noqa: E402  they look at the environment when they are imported
from idds.client.clientmanager import ClientManager  # noqa: E402
from idds.common import exceptions  # noqa: E402
from idds.common.utils import json_dumps  # noqa: E402
from pandaclient import idds_api  # noqa: E402

failed = 0


def check(what, got, want):
    global failed
    if callable(want):
        good = want(got)
    else:
        good = got == want
    if not good:
        failed = 1
        print(f"{what}: got {got!r}", file=sys.stderr)


def raised(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except exceptions.IDDSException as error:
        return error


def workflow(run_id, name="EIC_2026_fastproc_BNL-OSG_20260118"):
    return {
        "scope": "EIC_2026", "name": name, "requester": "EIC", "username": "EIC", "transform_tag": "fastproc", "cloud": "US", "campaign": "testbed",
        "campaign_scope": "testbed_2026", "campaign_group": "testbed_2026_01", "campaign_tag": "test",
        "content": {
            "run_id": run_id, "created_at": "2026-01-18T14:36:03.194616+00:00", "target_worker_count": 30, "core_count": 30, "memory_per_core": 4000.0,
            "site": "BNL-OSG", "panda_attributes": {"vo": "wlcg", "queue": "BNL_PanDA_1", "num_workers": 1}, "streaming_mode": False,
        },
    }


def ids(created):
    return {key: created[key] for key in ("request_id", "transform_id", "workload_id")}


def rest(base):
    """The client that the PanDA server has, and that people have."""
    manager = ClientManager(host=base)
    check("ping", manager.ping(), {"Status": "OK"})
    created = manager.create_workflow_task(workflow(run))
    for key in ("request_id", "transform_id", "processing_id", "input_coll_id", "output_coll_id", "workload_id"):
        check(f"create: {key}", created.get(key) if isinstance(created, dict) else created, lambda v: isinstance(v, int) and v > 0)
    check("create again", manager.create_workflow_task(workflow(run, workflow(run)["name"] + "_" + run)), created)
    n = ids(created)
    adjusted = manager.adjust_worker(n["request_id"], n["transform_id"], n["workload_id"], {"core_count": 36, "memory_per_core": None, "site": "BNL-2", "content": {"run_id": run}})
    check("adjust", adjusted, {"status": 0, "message": "adjusted successfully"})
    check("adjust by the request", manager.adjust_worker(n["request_id"], None, None, {"core_count": 36, "site": None, "content": {"run_id": run}}), adjusted)
    check("adjust nothing", manager.adjust_worker(None, None, None, {}), lambda v: v[0] == -1)
    check("adjust what is not there", manager.adjust_worker(10**6, 1, 1, {"core_count": 3}), lambda v: v[0] is False and "no workflow task" in v[1])
    check("close nothing", manager.close_workflow_task(None, {}), (-1, "request_id is None"))
    check("close what is not there", manager.close_workflow_task(10**6, {"workload_id": None}), lambda v: v[0] is False and "no workflow task" in v[1])
    other = manager.create_workflow_task(workflow(run + "9"))
    check("the same request", other["request_id"], n["request_id"])
    closed = manager.close_workflow_task(other["request_id"], {"run_id": run + "9", "transform_id": other["transform_id"], "workload_id": other["workload_id"]})
    check("close", closed, {"status": 0, "message": "closed successfully"})
    check("send", manager.send_messages(request_id=n["request_id"], msgs=[{"from": base}]), (True, None))
    check("get", manager.get_messages(request_id=n["request_id"]), lambda v: v[0] is True and {"from": base} in v[1])
    check("the broker's password", manager.get_metainfo("prompt_broker"), lambda v: v[0] is False and "pilot" in v[1])
    check("asyncresult", manager.get_metainfo("asyncresult_config"), lambda v: v[0] is True and v[1]["broker_timeout"] == 360)

    client = Client(host=base, auth={"auth_type": "oidc", "oidc_token": pilot, "vo": "EIC", "auth_setup": False})
    check("brokers", raised(client.get_metainfo, name="prompt_broker"), lambda v: v["transformer_broker"]["destination"] and v["ejfat"] == {})
    check("a pilot's task", raised(client.create_workflow_task, workflow("7")), lambda v: isinstance(v, exceptions.IDDSException))
    asks = Client(host=base, auth={"auth_type": "oidc", "oidc_token": operator, "vo": "EIC"})
    check("not there", raised(asks.close_workflow_task, 10**6, {}), lambda v: isinstance(v, exceptions.NoObject))
    check("no workflow", raised(asks.create_workflow_task, None), lambda v: isinstance(v, exceptions.BadRequest))
    check("wrong token", raised(Client(host=base, auth={"auth_type": "oidc", "oidc_token": "wrong", "vo": "EIC"}).get_metainfo, "x"), lambda v: "valid token" in str(v))
    check("sign in", raised(client.get_oidc_sign_url, "EIC"), lambda v: isinstance(v, exceptions.NoObject))
    check("poll", raised(client.get_id_token, "EIC", "code"), lambda v: isinstance(v, exceptions.NoObject))
    check("refresh", raised(client.refresh_id_token, "EIC", "token"), lambda v: isinstance(v, exceptions.NoObject))
    asks.enable_json_outputs()
    check("wrapped", asks.ping(), {"status": 0, "data": {"Status": "OK"}, "error": None})
    check("wrapped error", asks.close_workflow_task(10**6, {}), lambda v: v["status"] == 404 and v["error"]["ExceptionClass"] == "NoObject")
    return created


def relay(base, created):
    """PanDA's client, which the transceiver and the worker have."""
    for compress in (True, False):
        api = idds_api.get_api(json_dumps, idds_host=base, compress=compress, verbose=False, manager=True)
        check("relayed create", api.create_workflow_task(workflow=workflow(run)), (0, [True, created]))
        n = ids(created)
        check("relayed adjust", api.adjust_worker(**n, parameters={"core_count": 36, "memory_per_core": None, "site": None, "content": {"run_id": run}}),
              (0, [True, {"status": 0, "message": "adjusted successfully"}]))
        check("relayed close of nothing", api.close_workflow_task(request_id=None, parameters={}), (0, [True, [-1, "request_id is None"]]))
        check("relayed close", api.close_workflow_task(request_id=10**6, parameters={}), lambda v: v[0] == 0 and v[1][1][0] is False)
        check("relayed messages", api.get_messages(request_id=n["request_id"]), lambda v: v[0] == 0 and v[1][0] is True and v[1][1][0] is True)
        check("relayed by place", api.get_metainfo("asyncresult_config"), lambda v: v[0] == 0 and v[1][1][0] is True)
        check("unknown", api.submit(1), lambda v: v[0] == 0 and v[1][0] is False)
    old = idds_api.get_api(json.dumps, idds_host=base, compress=True, manager=False)
    check("without a manager", old.create_workflow_task(workflow=workflow(run)), (0, [True, created]))


made = rest(url + "/idds")
check("the other base", rest(url), made)
relay(url + "/idds", made)
sys.exit(failed)
