"""The page: what is cached, what its scripts may do, and what is said when it is not built."""

import base64
import hashlib
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from huoyan.server.api import page

SCRIPT = "document.title = 'x'"
HTML = f'<!doctype html><script>{SCRIPT}</script><script type="module" src="/assets/a-1.js"></script><div id="root">'


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "secret.txt").write_text("not for you")
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text(HTML)
    (dist / "assets" / "a-1.js").write_text("1")
    (dist / "icon.svg").write_text("<svg/>")
    app = FastAPI()
    page.mount(app, dist)
    return TestClient(app)


@pytest.mark.parametrize("path", ["/", "/index.html", "/runs", "/runs/0b9ee1a1-4a0a", "/incidents/4"])
def test_every_path_of_the_page_answers_with_its_html(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, HTML)
    assert answer.headers["cache-control"] == "no-cache"


def test_files_with_a_hash_in_their_name_are_kept_for_ever_and_others_asked_for(client: TestClient) -> None:
    assert client.get("/assets/a-1.js").headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/icon.svg").headers["cache-control"] == "no-cache"
    etag = client.get("/icon.svg").headers["etag"]
    assert client.get("/icon.svg", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("path", ["/api", "/api/v1/gone", "/api/v1/runs/"])
def test_the_page_never_answers_for_the_api(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_is_only_read(client: TestClient) -> None:
    assert client.post("/runs").status_code == 404
    assert client.head("/runs").status_code == 200


@pytest.mark.parametrize("path", ["/assets/gone-2.js", "/gone.svg", "/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt"])
def test_a_missing_file_stays_missing(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "not for you" not in answer.text


def test_only_the_inline_scripts_of_the_html_may_run(client: TestClient) -> None:
    policy = client.get("/runs").headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'self'" in policy


def test_a_page_that_is_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    app = FastAPI()
    page.mount(app, tmp_path)
    answer = TestClient(app).get("/")
    assert answer.status_code == 503
    assert "make web" in answer.text
