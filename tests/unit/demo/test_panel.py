import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from huoyan.demo.faults import Fault, Faults
from huoyan.demo.panel import Panel
from huoyan.demo.switches import FileSwitch
from huoyan.demo.web import Answer, Request, WebServer
from tests.servers import free_port


@pytest.fixture
def faults(tmp_path) -> Faults:
    names = ("payments-down", "mail-refused")
    return Faults([Fault(name, name, name, "shows", "现象", FileSwitch(tmp_path / name)) for name in names])


@pytest.fixture
def panel(faults) -> Panel:
    return Panel(faults, {"Huoyan": "http://127.0.0.1:8650"})


def test_the_faults_are_listed_with_their_state(panel, faults):
    faults.turn_on("mail-refused", for_s=30)
    answer = panel.answer(Request("GET", "/api/faults"))
    assert answer.content["demo"] == "huoyan"
    listed = {item["name"]: item for item in answer.content["faults"]}
    assert [item["active"] for item in listed.values()] == [False, True]
    assert listed["mail-refused"]["until_at"] == listed["mail-refused"]["since_at"] + 30


def test_a_fault_is_turned_on_for_a_time_and_off(panel, faults):
    answer = panel.answer(Request("POST", "/api/faults/payments-down", body={"on": True, "for_s": 40}))
    assert answer.status == 200
    assert answer.content["active"]
    assert faults.state("payments-down").active
    assert panel.answer(Request("POST", "/api/faults/payments-down", body={"on": False})).content["active"] is False
    assert not faults.state("payments-down").active


@pytest.mark.parametrize("body", [{}, {"on": 1}, {"on": "yes"}, {"on": True, "for_s": 0}, {"on": True, "for_s": "9"}])
def test_a_wrong_body_changes_nothing_and_is_told(panel, faults, body):
    answer = panel.answer(Request("POST", "/api/faults/payments-down", body=body))
    assert answer.status == 400
    assert "expected" in answer.content["error"]
    assert not faults.state("payments-down").active


def test_an_unknown_fault_is_not_found(panel):
    answer = panel.answer(Request("POST", "/api/faults/typo", body={"on": True}))
    assert answer.status == 404
    assert "payments-down" in answer.content["error"]


def test_the_page_links_to_the_other_pages(panel):
    answer = panel.answer(Request("GET", "/"))
    assert answer.status == 200
    assert 'href="http://127.0.0.1:8650"' in answer.content


class Visitor:
    """Asks a server and returns the status and the text."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(self.address + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    def answer(request: Request) -> Answer:
        if request.path == "/broken":
            raise ValueError("on purpose")
        if request.path == "/page":
            return Answer(200, "<p>茶</p>")
        return Answer(200, {"method": request.method, "query": request.query, "body": request.body})

    server = WebServer(free_port(), answer)
    server.start()
    yield Visitor(server.address)
    server.close()


def test_requests_arrive_with_query_and_body(visitor):
    status, text = visitor.ask("/api?after=7", b'{"on": true}')
    assert status == 200
    assert json.loads(text) == {"method": "POST", "query": {"after": "7"}, "body": {"on": True}}


def test_html_is_served_as_utf_8(visitor):
    assert visitor.ask("/page") == (200, "<p>茶</p>")


def test_another_site_in_the_browser_cannot_post(visitor):
    assert visitor.ask("/api", b"{}", Origin="http://evil.example")[0] == 403
    assert visitor.ask("/api", b"{}", Origin=visitor.address)[0] == 200


def test_another_host_name_for_this_machine_is_refused(visitor):
    assert visitor.ask("/api", Host="rebound.example:80")[0] == 403


def test_a_body_that_is_no_object_is_refused(visitor):
    assert visitor.ask("/api", b"[1]")[0] == 400
    assert visitor.ask("/api", b"{")[0] == 400


def test_a_large_body_is_refused(visitor):
    assert visitor.ask("/api", b'{"x": "' + b"x" * 20_000 + b'"}')[0] == 413


def test_an_error_is_told_and_the_next_request_is_served(visitor):
    status, text = visitor.ask("/broken")
    assert status == 500
    assert "on purpose" in text
    assert visitor.ask("/page")[0] == 200
