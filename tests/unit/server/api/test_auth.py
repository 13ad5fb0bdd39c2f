"""Who may ask: the token, the cookie that stands for it, and pages of other sites."""

import pytest
from fastapi.testclient import TestClient
from starlette.types import Scope

from huoyan.server.api import auth
from tests.unit.server.api.conftest import Starter

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def scope(method: str = "GET", **headers: str) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http", "method": method, "headers": raw}


class TestToken:
    @pytest.mark.parametrize(
        "path",
        ["/api/v1/runs", "/api/v1/overview", "/api/v1/openapi.json", "/api/v1/events/schema", "/metrics", "/api/x"],
    )
    def test_everything_but_page_and_probes_asks_for_it(self, start: Starter, path: str) -> None:
        client = start(token=TOKEN)
        refused = client.get(path)
        assert refused.status_code == 401
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["www-authenticate"].startswith("Bearer")
        assert refused.json()["type"] == "urn:huoyan:problem:unauthorized"
        assert TOKEN not in refused.text
        assert client.get(path, headers=BEARER).status_code in (200, 404)

    def test_events_ask_for_it(self, start: Starter) -> None:
        client = start(token=TOKEN)
        event = {"kind": "started", "run_id": "a", "at": 1}
        assert client.post("/api/v1/events", json=event).status_code == 401
        assert client.get("/api/v1/runs/a", headers=BEARER).status_code == 404
        assert client.post("/api/v1/events", json=event, headers=BEARER).status_code == 200

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/api/v1/session"])
    def test_probes_and_session_ask_for_none(self, start: Starter, path: str) -> None:
        assert start(token=TOKEN).get(path).status_code == 200

    @pytest.mark.parametrize(
        "header", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer x{TOKEN}", TOKEN, "Bearer \xff\xfe"]
    )
    def test_nothing_else_passes(self, header: str) -> None:
        assert not auth.permitted(scope(authorization=header), TOKEN, now=0.0)

    def test_the_token_passes_as_the_password_of_any_user(self, start: Starter) -> None:
        client = start(token=TOKEN)
        assert client.get("/metrics", auth=("prometheus", TOKEN)).status_code == 200
        assert client.get("/metrics", auth=(TOKEN, "prometheus")).status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Basic bm8tY29sb24="}).status_code == 401

    @pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "])
    def test_the_scheme_is_read_without_case(self, header: str) -> None:
        assert auth.permitted(scope(authorization=header), TOKEN, now=0.0)


class TestSession:
    def test_the_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(self, start: Starter) -> None:
        client = start(token=TOKEN)
        assert client.get("/api/v1/session").json() == {"required": True, "ok": False}
        answer = client.post("/api/v1/session", json={"token": TOKEN})
        assert answer.json() == {"required": True, "ok": True}
        cookie = answer.headers["set-cookie"]
        assert TOKEN not in cookie
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"):
            assert attribute in cookie
        assert "Secure" not in cookie
        assert client.get("/api/v1/runs").status_code == 200
        assert client.get("/api/v1/session").json() == {"required": True, "ok": True}
        client.delete("/api/v1/session")
        assert client.get("/api/v1/runs").status_code == 401

    def test_behind_https_the_cookie_is_for_https_only(self, start: Starter) -> None:
        client = start(token=TOKEN, public_url="https://huoyan.example.com")
        assert "Secure" in client.post("/api/v1/session", json={"token": TOKEN}).headers["set-cookie"]

    @pytest.mark.parametrize("body", [{"token": "another"}, {"token": ""}, {"token": "火"}])
    def test_another_token_gets_no_cookie(self, start: Starter, body: dict[str, str]) -> None:
        answer = start(token=TOKEN).post("/api/v1/session", json=body)
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers

    def test_without_a_token_there_is_nothing_to_exchange(self, start: Starter) -> None:
        client = start()
        assert client.get("/api/v1/session").json() == {"required": False, "ok": True}
        assert client.post("/api/v1/session", json={"token": "x"}).json() == {"required": False, "ok": True}

    def test_a_cookie_ends_with_its_time_and_with_the_token(self) -> None:
        value = f"100.{auth._signature(100, TOKEN)}"
        cookie = f"{auth.COOKIE}={value}"
        assert auth.permitted(scope(cookie=cookie), TOKEN, now=99.0)
        assert not auth.permitted(scope(cookie=cookie), TOKEN, now=100.0)
        assert not auth.permitted(scope(cookie=cookie), "another-token", now=99.0)
        assert not auth.permitted(scope(cookie=cookie.replace("100.", "999.")), TOKEN, now=99.0)

    @pytest.mark.parametrize("value", ["", ".", "100.", "x.y", "9" * 40 + ".x", "１００.x", '"', "a;b"])
    def test_a_malformed_cookie_does_not_pass(self, value: str) -> None:
        assert not auth.permitted(
            {**scope(), "headers": [(b"cookie", f"{auth.COOKIE}={value}".encode())]}, TOKEN, now=0.0
        )


class TestForeignPages:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1:8650", "localhost:8650", "[::1]:8650", "10.1.2.3", "app.localhost", "localhost", ""]
    )
    def test_addresses_and_localhost_cannot_be_rebound(self, shared: TestClient, host: str) -> None:
        assert shared.get("/api/v1/session", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8650"])
    def test_a_name_that_was_rebound_to_loopback_is_refused(self, shared: TestClient, host: str) -> None:
        refused = shared.get("/api/v1/runs", headers={"Host": host})
        assert refused.status_code == 403
        assert "server.public_url" in refused.json()["detail"]
        assert shared.get("/healthz", headers={"Host": host}).status_code == 200

    def test_the_name_in_public_url_is_ours(self, start: Starter) -> None:
        client = start(public_url="https://huoyan.example.com")
        assert client.get("/api/v1/runs", headers={"Host": "huoyan.example.com"}).status_code == 200
        assert client.get("/api/v1/runs", headers={"Host": "other.example.com"}).status_code == 403

    def test_with_a_token_any_name_will_do(self, start: Starter) -> None:
        client = start(token=TOKEN)
        assert client.get("/api/v1/runs", headers={**BEARER, "Host": "any.example"}).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:3000"},
        ],
    )
    def test_another_site_changes_nothing(self, start: Starter, headers: dict[str, str]) -> None:
        client = start()
        event = {"kind": "started", "run_id": "a", "at": 1}
        assert client.post("/api/v1/events", json=event, headers=headers).status_code == 403
        assert client.get("/api/v1/runs/a").status_code == 404

    def test_our_own_page_and_programs_may(self, start: Starter) -> None:
        client = start(public_url="https://huoyan.example.com")
        event = {"kind": "started", "run_id": "a", "at": 1}
        for headers in (
            {},
            {"Origin": "http://127.0.0.1:8650"},
            {"Origin": "https://huoyan.example.com"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
        ):
            assert client.post("/api/v1/events", json=event, headers=headers).status_code == 200

    def test_no_answer_may_be_framed_sniffed_or_shared(self, start: Starter) -> None:
        client = start()
        for path in ("/api/v1/runs", "/healthz", "/nowhere.js", "/", "/metrics"):
            headers = client.get(path, headers={"Origin": "http://evil.example"}).headers
            assert headers["x-frame-options"] == "DENY"
            assert headers["x-content-type-options"] == "nosniff"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "access-control-allow-origin" not in headers
