"""Rules, alerts and incidents over the API, and the verdict they make."""

import subprocess
import time
from typing import Any, ClassVar

import pytest
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from huoyan.model.alert import Alert, AlertState, Level
from huoyan.model.incident import EntryKind, Incident, TimelineEntry
from huoyan.model.notification import Notification
from huoyan.server.api.context import Context
from huoyan.server.api.schemas.incident import EXAMPLE
from huoyan.server.api.schemas.incident import Incident as IncidentDocument
from huoyan.server.api.verdict import verdict
from tests.servers import find_program, wait_until
from tests.unit.server.api.conftest import Starter

NOW = time.time()
TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
RULES: list[dict[str, Any]] = [
    {
        "name": "failures",
        "signal": "task_failures",
        "op": ">",
        "threshold": 3,
        "for": "1m",
        "where": {"service": "orders"},
    },
    {"name": "depth", "signal": "queue_depth", "level": "critical", "by": ["queue"]},
]


def opened(context: Context, level: Level = Level.CRITICAL, **labels: str) -> int:
    """Store an incident with one alert, one line and one message."""
    labels = labels or {"service": "orders", "task": "orders.pay"}
    alert = context.store.alerts.save(
        Alert(
            rule="failures",
            signal="task_failures",
            level=level,
            state=AlertState.FIRING,
            labels=labels,
            op=">",
            threshold=3.0,
            value=9.0,
            pending_at=NOW - 90,
            fired_at=NOW - 30,
            reason="9 is above 3",
        )
    )
    incident = context.store.incidents.create(
        Incident(
            group_key=f"failures/{labels}",
            title=f"failures of {labels}",
            level=level,
            rule="failures",
            labels=labels,
            opened_at=NOW - 30,
            updated_at=NOW - 30,
            summary="9 failures",
        ),
        [TimelineEntry(at=NOW - 30, kind=EntryKind.OPENED, text="it began", data={"value": 9.0})],
        [alert.id or 0],
    )
    assert incident.id is not None
    context.store.notifications.enqueue(
        [
            Notification(
                receiver="ops",
                event="opened",
                title="t",
                body="b",
                dedup_key=f"k{incident.id}",
                created_at=NOW,
                next_at=NOW + 9e6,
                incident_id=incident.id,
            )
        ]
    )
    return incident.id


class TestRules:
    def test_rules_in_force_are_listed_with_what_their_signal_adds(self, start: Starter) -> None:
        items = start(rules=RULES).get("/api/v1/rules").json()["items"]
        by_name = {item["name"]: item for item in items}
        assert by_name["failures"] == {
            "name": "failures",
            "signal": "task_failures",
            "op": ">",
            "threshold": 3.0,
            "for_s": 60.0,
            "window_s": 300.0,
            "level": "warning",
            "where": {"service": "orders"},
            "by": ["service", "task"],
            "receivers": [],
            "state": "inactive",
        }
        assert (by_name["depth"]["threshold"], by_name["depth"]["window_s"]) == (1000.0, None)
        assert by_name["depth"]["by"] == ["queue"]

    def test_a_chinese_name_is_a_label_that_prometheus_reads(self, start: Starter) -> None:
        name = "支付 失败率:v2"
        client = start(rules=[{**RULES[0], "name": name}])
        assert client.get("/api/v1/rules").json()["items"][0]["name"] == name
        expected = {"rule": name, "level": "warning"}
        for accept, parse in ((TEXT, parse_text), (OPENMETRICS, parse_openmetrics)):
            page = client.get("/metrics", headers={"Accept": accept})
            read = [s for family in parse(page.text) for s in family.samples if s.name == "huoyan_alerts_firing"]
            assert expected in [sample.labels for sample in read]
        promtool = [str(find_program("promtool", "prometheus")), "check", "metrics"]
        page = client.get("/metrics", headers={"Accept": TEXT})
        checked = subprocess.run(promtool, input=page.content, capture_output=True, timeout=60)
        # It also has opinions about names of metrics, with a status of their own.
        assert checked.returncode in (0, 3), checked.stderr.decode()


class TestAlerts:
    def test_alerts_are_listed_and_filtered(self, client: TestClient, context: Context) -> None:
        number = opened(context)
        (alert,) = client.get("/api/v1/alerts", params={"state": "firing,pending"}).json()["items"]
        assert (alert["rule"], alert["state"], alert["value"], alert["incident_id"]) == (
            "failures",
            "firing",
            9.0,
            number,
        )
        assert client.get("/api/v1/alerts", params={"state": "resolved"}).json()["items"] == []
        refused = client.get("/api/v1/alerts", params={"state": "open"})
        assert refused.status_code == 400
        assert "expected one of pending, firing, resolved" in refused.json()["detail"]


class TestIncidents:
    def test_the_list_and_its_filters(self, client: TestClient, context: Context) -> None:
        first, second = opened(context), opened(context, Level.WARNING, queue="mail")
        items = client.get("/api/v1/incidents").json()["items"]
        assert {item["id"] for item in items} == {first, second}
        assert all(item["alert_count"] == 1 for item in items)

        def ids(**query: Any) -> list[int]:
            return [item["id"] for item in client.get("/api/v1/incidents", params=query).json()["items"]]

        assert ids(level="critical") == [first]
        assert ids(state="acknowledged") == []
        assert ids(since="-10s") == []
        assert len(ids(limit=1)) == 1
        assert client.get("/api/v1/incidents", params={"state": "closed"}).status_code == 400
        assert client.get("/api/v1/incidents", params={"level": "loud"}).status_code == 400

    def test_the_detail_has_all_that_belongs_to_it(self, client: TestClient, context: Context) -> None:
        number = opened(context)
        for run_id, task in (("bad", "orders.pay"), ("other", "orders.ship")):
            exception = {"type": "E", "message": "m"}
            event = {"kind": "failed", "run_id": run_id, "at": NOW - 60, "task": task, "service": "orders"}
            client.post("/api/v1/events", json={**event, "worker": "w", "exception": exception})
        incident = client.get(f"/api/v1/incidents/{number}").json()
        assert (incident["id"], incident["state"], incident["level"]) == (number, "open", "critical")
        assert incident["alerts"][0]["reason"] == "9 is above 3"
        (line,) = incident["timeline"]
        assert (line["kind"], line["by"], line["text"], line["data"]) == (
            "opened",
            "huoyan",
            "it began",
            {"value": 9.0},
        )
        (message,) = incident["notifications"]
        assert (message["receiver"], message["event"], message["attempts"]) == ("ops", "opened", 0)
        assert [run["id"] for run in incident["runs"]] == ["bad"]

    def test_people_acknowledge_comment_and_resolve(self, client: TestClient, context: Context) -> None:
        url = f"/api/v1/incidents/{opened(context)}"
        taken = client.post(f"{url}/acknowledge", json={"by": "lin", "note": "on it"}).json()
        assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "lin")
        assert taken["acknowledged_at"] is not None
        said = client.post(f"{url}/comment", json={"by": "mei", "note": "provider is down"}).json()
        assert said["state"] == "acknowledged"
        done = client.post(f"{url}/resolve", json={"by": "lin"}).json()
        assert (done["state"], done["resolved_by"]) == ("resolved", "lin")
        lines = [(line["kind"], line["by"], line["text"]) for line in done["timeline"]]
        assert lines[1:3] == [("acknowledged", "lin", "on it"), ("commented", "mei", "provider is down")]
        assert lines[3][:2] == ("resolved", "lin")

    def test_a_step_that_the_state_forbids_is_a_conflict(self, client: TestClient, context: Context) -> None:
        url = f"/api/v1/incidents/{opened(context)}"
        assert client.post(f"{url}/acknowledge", json={"by": "lin"}).status_code == 200
        again = client.post(f"{url}/acknowledge", json={"by": "mei"})
        assert again.status_code == 409
        assert "lin" in again.json()["detail"]
        assert client.post(f"{url}/resolve", json={"by": "mei"}).status_code == 200
        assert client.post(f"{url}/resolve", json={"by": "lin"}).status_code == 409

    @pytest.mark.parametrize("step", ["acknowledge", "resolve", "comment"])
    def test_steps_on_nothing_are_not_found(self, client: TestClient, step: str) -> None:
        assert client.post(f"/api/v1/incidents/4711/{step}", json={"by": "x", "note": "y"}).status_code == 404

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "body.by"),
            ({"by": ""}, "body.by"),
            ({"by": "x" * 101}, "body.by"),
            ({"by": "x", "note": 3}, "body.note"),
            ({"by": "x", "nota": "y"}, "body.nota"),
            ([], "body"),
        ],
    )
    def test_a_wrong_body_is_named(self, client: TestClient, context: Context, body: object, field: str) -> None:
        answer = client.post(f"/api/v1/incidents/{opened(context)}/acknowledge", json=body)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:huoyan:problem:invalid-body"
        assert answer.json()["errors"][0]["field"] == field

    def test_a_body_that_is_no_json_is_named(self, client: TestClient, context: Context) -> None:
        url = f"/api/v1/incidents/{opened(context)}/acknowledge"
        answer = client.post(url, content=b"{", headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert "JSON" in answer.json()["detail"]

    @pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 30])
    def test_a_number_that_is_none_is_a_problem(self, client: TestClient, number: str) -> None:
        assert client.get(f"/api/v1/incidents/{number}").status_code == 400


class TestLanguages:
    RULE: ClassVar[dict[str, Any]] = {
        "name": "支付 失败",
        "signal": "task_failures",
        "op": ">",
        "threshold": 3,
        "window": "1m",
        "by": ["task"],
        "level": "critical",
    }

    @pytest.fixture
    def failing(self, start: Starter) -> TestClient:
        """A server with an incident that its own rule opened."""
        client = start(rules=[self.RULE])
        exception = {"type": "shop.payments.ProviderDown", "message": "no answer"}
        event = {"kind": "failed", "at": time.time(), "task": "orders.pay", "service": "orders", "worker": "w"}
        events = [{**event, "run_id": f"r{number}", "exception": exception} for number in range(5)]
        # In one batch: between two of them the rule could be judged.
        client.post("/api/v1/events", json={"events": events})
        wait_until(lambda: client.get("/api/v1/incidents").json()["items"], 60, "an incident")
        return client

    def test_an_incident_is_told_in_english_and_chinese(self, failing: TestClient) -> None:
        (listed,) = failing.get("/api/v1/incidents").json()["items"]
        assert listed["title"] == "orders.pay: failed runs 5 (> 3)"
        assert listed["title_zh"] == "orders.pay：失败数 5（> 3）"
        assert listed["rule"] == "支付 失败"
        assert listed["summary"].endswith(" UTC; all 5 failures are ProviderDown: no answer.")
        assert listed["summary_zh"].startswith("orders.pay 的失败数为 5（统计窗口 1 分钟，阈值 > 3），始于 ")
        assert listed["summary_zh"].endswith(" UTC；5 次失败均为 ProviderDown: no answer。")
        detail = failing.get(f"/api/v1/incidents/{listed['id']}").json()
        assert {name: detail[name] for name in listed} == listed
        (alert,) = detail["alerts"]
        assert alert["reason_zh"] == "orders.pay 的失败数为 5（统计窗口 1 分钟，阈值 > 3）"
        assert failing.get("/api/v1/alerts").json()["items"] == [alert]
        (line,) = detail["timeline"]
        assert line["text_zh"] == alert["reason_zh"]
        assert line["data"]["failure"]["type"] == "shop.payments.ProviderDown"
        overview = failing.get("/api/v1/overview").json()["verdict"]
        assert overview["text_zh"] == "有 1 个未解决事件：orders.pay：失败数 5（> 3）"

    def test_what_people_write_is_the_same_in_both(self, failing: TestClient) -> None:
        number = failing.get("/api/v1/incidents").json()["items"][0]["id"]
        failing.post(f"/api/v1/incidents/{number}/comment", json={"by": "李伟", "note": "正在联系支付渠道"})
        done = failing.post(f"/api/v1/incidents/{number}/resolve", json={"by": "lin", "note": "switched over"}).json()
        assert [(line["text"], line["text_zh"]) for line in done["timeline"]][1:] == [
            ("正在联系支付渠道", "正在联系支付渠道"),
            ("switched over", "switched over"),
        ]
        assert done["summary"].startswith("Failed runs of orders.pay reached 5 over 1 min (> 3) from ")
        assert done["summary_zh"].startswith("orders.pay 的失败数最高达 5（统计窗口 1 分钟，阈值 > 3），")

    def test_what_keeps_no_facts_is_shown_as_it_is(self, client: TestClient, context: Context) -> None:
        detail = client.get(f"/api/v1/incidents/{opened(context)}").json()
        assert detail["title_zh"] == detail["title"]
        assert detail["timeline"][0]["text_zh"] == "it began"

    def test_a_pending_alert_says_in_both_how_long_it_has_to_last(self, start: Starter) -> None:
        client = start(rules=[{**self.RULE, "for": "10m"}])
        event = {"kind": "failed", "at": time.time(), "task": "orders.pay", "service": "orders", "worker": "w"}
        for number in range(5):
            client.post("/api/v1/events", json={**event, "run_id": f"r{number}", "exception": {"type": "E"}})
        wait_until(lambda: client.get("/api/v1/alerts").json()["items"], 20, "an alert")
        (alert,) = client.get("/api/v1/alerts").json()["items"]
        assert alert["reason"].endswith("; it fires when this lasts 10 min")
        assert alert["reason_zh"].endswith("；持续 10 分钟后触发")


class TestVerdict:
    def test_an_open_incident_is_the_verdict(self, client: TestClient, context: Context) -> None:
        opened(context, Level.WARNING)
        found = client.get("/api/v1/overview").json()["verdict"]
        assert found["level"] == "warning"
        assert found["text"].startswith("1 incident is open: failures of")
        assert len(found["open_incidents"]) == 1

    @staticmethod
    def incident(level: str, title: str = "x") -> IncidentDocument:
        return IncidentDocument.model_validate(
            {**EXAMPLE, "level": level, "title": title, "title_zh": f"{title}（中）"}
        )

    def test_calm_is_well(self) -> None:
        assert verdict([], []) == ("ok", "All is well", "一切正常")

    def test_silence_is_blindness_not_calm(self) -> None:
        assert verdict([], ["celery redis://h/0"]) == (
            "blind",
            "Nothing is heard from celery redis://h/0",
            "收不到以下来源的数据：celery redis://h/0",
        )
        assert verdict([self.incident("warning")], ["s"])[0] == "blind"

    def test_what_is_critical_outweighs_blindness(self) -> None:
        level, text, text_zh = verdict([self.incident("critical"), self.incident("warning", "y")], ["s"])
        assert level == "critical"
        assert text == "2 incidents are open: x; y; nothing is heard from s"
        assert text_zh == "有 2 个未解决事件：x（中）；y（中）；收不到以下来源的数据：s"

    def test_many_incidents_are_cut_short(self) -> None:
        _, text, text_zh = verdict([self.incident("warning")] * 5, [])
        assert text == "5 incidents are open: x; x; x; and 2 more"
        assert text_zh == "有 5 个未解决事件：x（中）；x（中）；x（中）；另有 2 个"
