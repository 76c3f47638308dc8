"""The API host speaks Convex's HTTP layer: addresses, keys, formats, errors, pauses, traps (Convex over HTTP)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bot.practice.sendcat import PracticeClock, PracticeSendcat, Script
from bot.practice.sendcat.wire import ConnectionDropped

SNAPSHOT = "ops:getReliabilitySnapshot"
CLEAR = {"path": "toolCache:clearNamespace", "args": {"namespace": "search_web_v1"}}


@pytest.fixture
def practice() -> PracticeSendcat:
    return PracticeSendcat(clock=PracticeClock.at(), seed=2)


@pytest.fixture
async def api(practice: PracticeSendcat) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=practice.api_app)
    headers = {"Authorization": f"Convex {practice.deploy_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client


def as_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Convex {key}"}


# --- addresses ---


@pytest.mark.parametrize("address", ["/api/query", "/api/function", "/api/run/ops/getReliabilitySnapshot"])
async def test_a_query_is_answered_on_every_address(api: httpx.AsyncClient, address: str) -> None:
    answer = await api.post(address, json={"path": SNAPSHOT, "args": {"minutes": 20}})

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "success"
    assert body["value"]["windowMinutes"] == 20


async def test_a_query_by_get_and_the_legacy_argument_list(api: httpx.AsyncClient) -> None:
    got = await api.get("/api/query", params={"path": SNAPSHOT, "args": '{"minutes":3}', "format": "json"})
    listed = await api.post("/api/query", json={"path": SNAPSHOT, "args": [{"minutes": 3}]})

    assert got.json()["value"]["windowMinutes"] == listed.json()["value"]["windowMinutes"] == 3


async def test_a_batch_answers_each_query_in_order_and_refuses_a_mutation_in_it(api: httpx.AsyncClient) -> None:
    queries = [
        {"path": "circuitBreaker:listStatuses", "args": {}},
        CLEAR,
        {"path": SNAPSHOT, "args": {"minutes": "x"}},
    ]

    results = (await api.post("/api/query_batch", json={"queries": queries})).json()["results"]

    assert [result["status"] for result in results] == ["success", "error", "error"]
    assert "defined as Mutation" in results[1]["errorMessage"]
    assert "ArgumentValidationError" in results[2]["errorMessage"]


@pytest.mark.parametrize(
    ("address", "path", "words"),
    [
        ("/api/query", CLEAR["path"], "as Query, but it is defined as Mutation."),
        ("/api/mutation", SNAPSHOT, "as Mutation, but it is defined as Query."),
        ("/api/action", SNAPSHOT, "as Action, but it is defined as Query."),
        ("/api/mutation", "toolJobs:processQueue", "as Mutation, but it is defined as Action."),
    ],
)
async def test_the_kind_in_the_address_must_match(
    api: httpx.AsyncClient, practice: PracticeSendcat, address: str, path: Any, words: str
) -> None:
    answer = await api.post(address, json={"path": path, "args": {}})

    assert answer.status_code == 200
    assert words in answer.json()["errorMessage"]
    assert practice.counters.mutations.total() == 0


async def test_a_snapshot_timestamp_is_eight_little_endian_bytes(api: httpx.AsyncClient) -> None:
    stamp = (await api.post("/api/query_ts")).json()["ts"]
    answer = await api.post("/api/query_at_ts", json={"path": SNAPSHOT, "args": {}, "ts": stamp})

    assert int.from_bytes(base64.b64decode(stamp), "little") == 1_795_420_800_000 * 1_000_000
    assert answer.json()["status"] == "success"


async def test_the_deployment_says_who_it_is_without_a_key(practice: PracticeSendcat) -> None:
    transport = httpx.ASGITransport(app=practice.api_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as anonymous:
        name = await anonymous.get("/instance_name")
        version = await anonymous.get("/version")
        root = await anonymous.get("/")
        missing = await anonymous.get("/api/1.31.6/sync")

    assert name.text == "practice-heron-101"
    assert version.status_code == 200
    assert "running" in root.text
    assert missing.status_code == 404


# --- keys ---


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/api/query", "Could not find public function for"),
        ("/api/function", "Could not find function for"),
        ("/api/run/ops/getReliabilitySnapshot", "Could not find function for"),
    ],
)
async def test_without_a_key_an_internal_function_does_not_exist(
    practice: PracticeSendcat, address: str, words: str
) -> None:
    transport = httpx.ASGITransport(app=practice.api_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as anonymous:
        internal = await anonymous.post(address, json={"path": SNAPSHOT, "args": {}})

    assert internal.status_code == 200
    assert words in internal.json()["errorMessage"]


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        ("Convex practice-heron-101|01deadbeef", 401, "BadAdminKey"),
        ("short", 400, "InvalidHeaderFailure"),
        ("Basic dXNlcjpwYXNz", 400, "InvalidAdminKey"),
        ("Bearer nobody-knows-me", 401, "InvalidAuthHeader"),
    ],
)
async def test_a_wrong_header_is_refused_with_a_code(
    api: httpx.AsyncClient, authorization: str, status: int, code: str
) -> None:
    for request in (
        api.post("/api/query", json={"path": SNAPSHOT, "args": {}}, headers={"Authorization": authorization}),
        api.get("/api/v1/list_environment_variables", headers={"Authorization": authorization}),
    ):
        answer = await request
        assert answer.status_code == status
        assert answer.json()["code"] == code


async def test_administration_without_a_key_is_403(practice: PracticeSendcat) -> None:
    transport = httpx.ASGITransport(app=practice.api_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as anonymous:
        answer = await anonymous.get("/api/v1/list_environment_variables")

    assert answer.status_code == 403
    assert set(answer.json()) == {"code", "message"}


async def test_a_limited_key_is_told_which_permission_it_lacks(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    """Queries and mutations say so with HTTP 200, actions and administration with 403."""
    key = as_key(practice.issue_key("deployment:env:view"))
    variables = await api.get("/api/v1/list_environment_variables", headers=key)
    change = await api.post("/api/v1/update_environment_variables", json={"changes": []}, headers=key)
    query = await api.post("/api/query", json={"path": SNAPSHOT, "args": {}}, headers=key)
    mutation = await api.post("/api/mutation", json=CLEAR, headers=key)
    action = await api.post("/api/action", json={"path": "toolJobs:processQueue", "args": {}}, headers=key)

    assert variables.status_code == 200
    assert (change.status_code, change.json()["code"]) == (403, "OperationNotPermitted")
    for answer, permission in ((query, "runInternalQueries"), (mutation, "runInternalMutations")):
        assert answer.status_code == 200
        assert "You do not have permission to perform this operation (" in answer.json()["errorMessage"]
        assert permission in answer.json()["errorMessage"]
    assert (action.status_code, action.json()["code"]) == (403, "OperationNotPermitted")
    assert practice.counters.mutations.total() == 0


async def test_an_end_user_creates_a_thread_and_sees_no_internal_function(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    bearer = {"Authorization": f"Bearer {practice.pool[0]['authToken']}"}
    body = {"path": "threads:create", "args": {"modelId": "m", "sessionId": "s"}}
    created = await api.post("/api/mutation", json=body, headers=bearer)
    refused = await api.post("/api/query", json={"path": SNAPSHOT, "args": {}}, headers=bearer)

    assert practice.deployment.accounts.threads[created.json()["value"]].user_id == "usr_1"
    assert refused.json()["status"] == "error"


async def test_a_key_may_act_as_a_user_only_with_that_permission(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    person = base64.b64encode(json.dumps({"subject": "usr_1", "issuer": "x"}).encode()).decode()
    allowed = await api.post(
        "/api/query", json={"path": SNAPSHOT, "args": {}}, headers=as_key(f"{practice.deploy_key}:{person}")
    )
    limited = practice.issue_key("deployment:functions:runInternalQueries")
    refused = await api.post("/api/query", json={"path": SNAPSHOT, "args": {}}, headers=as_key(f"{limited}:{person}"))

    assert allowed.json()["status"] == "success"
    assert refused.status_code == 403


# --- bodies, formats, values ---


@pytest.mark.parametrize(
    ("content", "content_type", "code"),
    [
        ('{"path":"x:y","args":{}}', "text/plain", "BadJsonBody"),
        ("{", "application/json", "BadJsonBody"),
        ("[]", "application/json", "BadJsonBody"),
        ('{"args":{}}', "application/json", "BadJsonBody"),
        ('{"path":"x:y","args":3}', "application/json", "BadJsonBody"),
        ('{"path":"x:y","args":{},"format":"xml"}', "application/json", "BadFormat"),
        ('{"path":"no such/../:","args":{}}', "application/json", "BadConvexFunctionIdentifier"),
        ('{"path":"x:y","args":{"a":{"$float":"AAAAAAAA8D8="}}}', "application/json", "BadJsonBody"),
        ('{"path":"x:y","args":{"$odd":1,"b":2}}', "application/json", "BadJsonBody"),
    ],
)
async def test_a_bad_body_is_a_400_with_a_code(
    api: httpx.AsyncClient, content: str, content_type: str, code: str
) -> None:
    answer = await api.post("/api/query", content=content, headers={"content-type": content_type})

    assert answer.status_code == 400
    assert answer.json()["code"] == code


async def test_a_client_header_needs_a_dash(api: httpx.AsyncClient) -> None:
    body = {"path": SNAPSHOT, "args": {}}
    refused = await api.post("/api/query", json=body, headers={"Convex-Client": "bot"})
    taken = await api.post("/api/query", json=body, headers={"Convex-Client": "incident-bot-0.1.0"})

    assert (refused.status_code, refused.json()["code"]) == (400, "InvalidClientVersion")
    assert taken.status_code == 200


async def test_whole_numbers_are_printed_as_floats_unless_switched_off(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    body = {"path": SNAPSHOT, "args": {}}
    backend = (await api.post("/api/query", json=body)).text
    practice.switches.numbers_as_floats = False
    printer = (await api.post("/api/query", json=body)).text

    assert '"windowMinutes":15.0' in backend
    assert '"windowMinutes":15}' in printer


async def test_special_numbers_are_read_and_written_by_format(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    infinite = {"$float": "AAAAAAAA8H8="}
    cut = await api.post("/api/query", json={"path": SNAPSHOT, "args": {"minutes": infinite}})
    practice.deployment.limiter.raise_alert("b", "blocked", 1, float("inf"), 5, now_ms=practice.clock.now_ms())
    plain, tagged = [
        (await api.post("/api/query", json={"path": SNAPSHOT, "args": {}, "format": shape})).json()["value"]
        for shape in ("json", "convex_encoded_json")
    ]

    assert cut.json()["value"]["windowMinutes"] == 1440
    assert plain["rateLimitPressure"]["recentAlerts"][0]["observed"] == "Infinity"
    assert tagged["rateLimitPressure"]["recentAlerts"][0]["observed"] == infinite


# --- variables ---


async def test_variables_are_listed_in_clear_text_and_changed_together(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    changes = [{"name": "TOOL_JOB_RUNMAX_WEB", "value": "3"}, {"name": "SERPER_API_KEY", "value": None}]
    changed = await api.post("/api/v1/update_environment_variables", json={"changes": changes})
    listed = (await api.get("/api/v1/list_environment_variables")).json()["environmentVariables"]
    snapshot = (await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})).json()["value"]

    assert (changed.status_code, changed.content) == (200, b"")
    assert listed["TOOL_JOB_RUNMAX_WEB"] == "3"
    assert listed["OPENROUTER_API_KEY"].startswith("sk-or-")
    assert "SERPER_API_KEY" not in listed
    assert snapshot["config"]["toolJobs"]["maxRunningByTool"]["search_web"] == 3
    assert practice.counters.variable_changes == {"TOOL_JOB_RUNMAX_WEB": 1, "SERPER_API_KEY": 1}


async def test_a_bad_change_changes_nothing(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    changes = [{"name": "GOOD", "value": "1"}, {"name": "9BAD", "value": "1"}]
    answer = await api.post("/api/v1/update_environment_variables", json={"changes": changes})

    assert (answer.status_code, answer.json()["code"]) == (400, "EnvironmentVariableNameInvalid")
    assert practice.deployment.environment.get("GOOD") is None


async def test_an_older_server_has_only_the_addresses_without_v1(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    practice.switches.v1_missing = True

    assert (await api.get("/api/v1/list_environment_variables")).status_code == 404
    assert (await api.get("/api/list_environment_variables")).status_code == 200


async def test_the_audit_log_names_changes_without_values(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    off = await api.get("/api/v1/list_audit_log_events")
    practice.switches.audit_log = True
    for value in ("1", "2", None):
        changes = {"changes": [{"name": "FLAG", "value": value}]}
        await api.post("/api/v1/update_environment_variables", json=changes, headers={"User-Agent": "bot/1"})
    first = (await api.get("/api/v1/list_audit_log_events", params={"limit": 2})).json()
    cursor = first["pagination"]["nextCursor"]
    rest = (await api.get("/api/v1/list_audit_log_events", params={"limit": 2, "cursor": cursor})).json()

    assert (off.status_code, off.json()["code"]) == (403, "AuditLogsDisabled")
    assert [event["action"] for event in first["items"] + rest["items"]] == [
        "create_environment_variable",
        "update_environment_variable",
        "delete_environment_variable",
    ]
    assert first["items"][0]["metadata"] == {"variable_name": "FLAG"}
    assert first["items"][0]["clientUserAgent"] == "bot/1"
    assert rest["pagination"] == {"hasMore": False}


async def test_deployment_info_follows_the_switches(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    own = (await api.get("/api/v1/deployment_info")).json()
    practice.switches.update(deployment_kind="cloud", deployment_type="prod")
    cloud = (await api.get("/api/v1/deployment_info")).json()

    assert own == {"kind": "selfHosted"}
    assert (cloud["kind"], cloud["deploymentType"]) == ("cloud", "prod")


async def test_a_paused_deployment_runs_nothing_and_still_shows_its_state(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/v1/pause_deployment")).status_code == 200
    function = (await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})).json()
    state = await api.post("/api/query", json={"path": "_system/frontend/backendState:backendState", "args": {}})
    variables = await api.get("/api/v1/list_environment_variables")
    resumed = await api.post("/api/v1/unpause_deployment")
    again = await api.post("/api/v1/unpause_deployment")

    assert "while this deployment is paused" in function["errorMessage"]
    assert state.json()["value"]["user"] == "paused"
    assert variables.status_code == resumed.status_code == 200
    assert (again.status_code, again.json()["code"]) == (400, "UnpauseDeploymentFailed")


async def test_system_queries_read_variables(api: httpx.AsyncClient) -> None:
    path = "_system/cli/queryEnvironmentVariables"
    every = (await api.post("/api/query", json={"path": path, "args": {}})).json()["value"]
    one = await api.post("/api/query", json={"path": f"{path}:get", "args": {"name": "SERPER_API_KEY"}})
    elsewhere = (await api.post("/api/function", json={"path": path, "args": {}})).json()

    assert {"name": "SERPER_API_KEY", "value": one.json()["value"]["value"]} in every
    assert elsewhere["status"] == "error"


# --- traps ---


async def test_errors_are_numbered_hidden_or_560_by_switch(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    body = {"path": SNAPSHOT, "args": {"minutes": "x"}}
    open_text = (await api.post("/api/query", json=body)).json()["errorMessage"]
    practice.switches.update(redact_errors=True, http_560=True)
    hidden = await api.post("/api/query", json=body)

    assert open_text.startswith("[Request ID: ")
    assert "ArgumentValidationError" in open_text
    assert hidden.status_code == 560
    assert hidden.json()["errorMessage"].endswith("] Server Error")


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
async def test_the_platform_fails_as_told(api: httpx.AsyncClient, practice: PracticeSendcat, status: int) -> None:
    practice.switches.fail_status = status
    answer = await api.post("/api/mutation", json=CLEAR)

    assert answer.status_code == status
    assert practice.counters.mutations.total() == 0
    if status == 502:
        assert answer.text.startswith("<html>")
    elif status != 408:
        assert set(answer.json()) == {"code", "message"}


async def test_a_revoked_key_and_a_wrong_clock(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    practice.switches.skew_ms = 120_000
    skewed = (await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})).json()["value"]
    practice.switches.refuse_key = True
    refused = await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})

    assert skewed["generatedAt"] == practice.clock.now_ms() + 120_000
    assert skewed["circuitBreakers"]["recent"][0]["updatedAt"] <= skewed["generatedAt"]
    assert refused.status_code == 401


async def test_slow_answers_take_their_time(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    practice.switches.slow_ms = 4_000
    before = practice.clock.now_ms()
    await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})

    assert practice.clock.now_ms() - before == 4_000


async def test_a_mutation_may_take_effect_without_an_answer(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    practice.switches.drop_after_commit = True
    with pytest.raises(ConnectionDropped):
        await api.post("/api/mutation", json=CLEAR)
    query = await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})

    assert practice.counters.mutations[CLEAR["path"]] == 1  # type: ignore[index]
    assert query.status_code == 200


async def test_a_script_meets_one_path_a_number_of_times(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    """By function, by address; with a status, a body, a delay; used up afterwards."""
    practice.script(Script(SNAPSHOT, times=2, status=503, body="<html>busy</html>", content_type="text/html"))
    practice.script(Script("/api/v1/list_environment_variables", drop=True))
    other = await api.post("/api/query", json={"path": "circuitBreaker:listStatuses", "args": {}})
    snapshots = [(await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})).status_code for _ in range(3)]
    with pytest.raises(ConnectionDropped):
        await api.get("/api/v1/list_environment_variables")

    assert other.status_code == 200
    assert snapshots == [503, 503, 200]
    assert practice.switches.scripts == []


async def test_an_unknown_switch_names_those_that_exist(practice: PracticeSendcat) -> None:
    with pytest.raises(ValueError, match="slow_ms"):
        practice.switches.update(slow=1)


# --- the control surface ---


async def test_the_control_surface_needs_its_own_key(api: httpx.AsyncClient, practice: PracticeSendcat) -> None:
    refused = await api.post("/_practice/fault", json={"fault": "F"})

    assert refused.status_code == 403
    assert (await api.get("/_practice/state")).status_code == 403


async def test_another_process_puts_a_fault_in_and_takes_it_out(
    api: httpx.AsyncClient, practice: PracticeSendcat
) -> None:
    key = {"X-Practice-Key": practice.control_key}
    state = (await api.post("/_practice/fault", json={"fault": "F"}, headers=key)).json()
    snapshot = (await api.post("/api/query", json={"path": SNAPSHOT, "args": {}})).json()["value"]
    await api.post("/_practice/switches", json={"slow_ms": 5}, headers=key)
    advanced = (await api.post("/_practice/advance", json={"ms": 60_000}, headers=key)).json()
    cleared = (await api.post("/_practice/clear", headers=key)).json()
    unknown = await api.post("/_practice/fault", json={"fault": "Z"}, headers=key)
    listed = (await api.get("/_practice/faults", headers=key)).json()["faults"]

    assert state["faults"] == ["F:caps"]
    assert snapshot["toolJobs"]["byStatus"]["running"] == 2
    assert advanced["nowMs"] - state["nowMs"] >= 60_000
    assert cleared["faults"] == []
    assert cleared["switches"]["slow_ms"] == 5
    assert unknown.status_code == 400
    assert "F:caps" in unknown.json()["error"]
    assert {entry["fault"] for entry in listed} == set("ABCDEFGH")
