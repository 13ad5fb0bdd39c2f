"""The page: static files built from web/, with every path of its own answered by its one HTML file."""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

FOLDER = Path(__file__).resolve().parents[1] / "web" / "dist"
"""Where the built page is packaged."""

_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_FOREVER = "public, max-age=31536000, immutable"

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Huoyan</title>
<h1>Huoyan is running; its page is not built</h1>
<p>Run <code>make web</code> in the repository (Node.js is needed) and start the server again. Where
<code>pip</code> installed it from the repository, install it again in between.
The API answers at <a href="/api/v1/openapi.json">/api/v1</a>, metrics at <a href="/metrics">/metrics</a>.</p>
"""


class _Page(StaticFiles):
    """Static files whose names carry a hash are kept for ever, the HTML that names them is asked for each time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._index = folder / "index.html"

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path in (".", "index.html"):
            return self._html()
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            # A path without a suffix is one of the page's own routes; a missing file stays missing.
            if error.status_code != 404 or "." in path.rsplit("/", 1)[-1]:
                raise
            return self._html()
        response.headers["cache-control"] = _FOREVER if path.startswith("assets/") else "no-cache"
        return response

    def _html(self) -> Response:
        response = FileResponse(self._index, media_type="text/html")
        response.headers["cache-control"] = "no-cache"
        response.headers["content-security-policy"] = content_policy(self._index.read_text(encoding="utf-8"))
        return response


def content_policy(html: str) -> str:
    """Return the content policy of the page: everything from this server, inline scripts only those in `html`."""
    hashes = "".join(
        f" 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(html)
    )
    return (
        f"default-src 'self'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def mount(app: FastAPI, folder: Path) -> None:
    """Answer every path that no route has with the page; without a built page `/` says how to build it.

    Not a mount at "/", which would win over a route that has the path but not the method, and answer for the API.
    """
    pages = _Page(folder) if (folder / "index.html").is_file() else None
    elsewhere = app.router.default

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD") or not _ours(scope["path"]):
            await elsewhere(scope, receive, send)
        elif pages is not None:
            await pages(scope, receive, send)
        elif scope["path"] == "/":
            await HTMLResponse(_NOT_BUILT, status_code=503)(scope, receive, send)
        else:
            await elsewhere(scope, receive, send)

    app.router.default = page


def _ours(path: str) -> bool:
    return path != "/api" and not path.startswith("/api/")
