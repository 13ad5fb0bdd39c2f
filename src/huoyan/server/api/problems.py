"""Every error the API answers with, as an RFC 9457 problem document."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from huoyan.errors import (
    AlreadyRunning,
    Conflict,
    HuoyanError,
    InvalidEvent,
    InvalidQuery,
    NotFound,
    Unreachable,
    Unsupported,
)
from huoyan.server.api.auth import Forbidden, Unauthorized

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[HuoyanError], int, str, str], ...] = (
    (InvalidEvent, 422, "invalid-event", "Invalid event"),
    (InvalidQuery, 400, "invalid-query", "Invalid query"),
    (NotFound, 404, "not-found", "Not found"),
    (Conflict, 409, "conflict", "Conflict"),
    (Unsupported, 501, "unsupported", "Unsupported"),
    (Unreachable, 503, "unreachable", "Not reachable"),
    (AlreadyRunning, 409, "already-running", "Already running"),
    (Unauthorized, 401, "unauthorized", "A token is needed"),
    (Forbidden, 403, "forbidden", "Forbidden"),
)
_RETRY_AFTER_S = 5


def problem(
    status: int,
    kind: str,
    title: str,
    detail: str,
    *,
    instance: str | None = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Render a problem document.

    Args:
        status: The HTTP status.
        kind: Last part of its type, e.g. `not-found`.
        title: The kind in words.
        detail: What was expected, what came, what to do.
        instance: Path of the request.
        headers: Headers of the answer, e.g. `Retry-After`.
        more: Members of its own kind, e.g. `errors`.
    """
    body = {"type": f"urn:huoyan:problem:{kind}", "title": title, "status": status, "detail": detail}
    if instance is not None:
        body["instance"] = instance
    return JSONResponse({**body, **more}, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: HuoyanError, path: str) -> Response:
    """Render one of Huoyan's own errors."""
    status, name, title = next(
        ((status, name, title) for kind, status, name, title in _STATUS if isinstance(error, kind)),
        (500, "internal", "Internal error"),
    )
    headers: dict[str, str] = {}
    if status == 503:
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="huoyan"'
    return problem(status, name, title, error.message, instance=path, headers=headers)


def install(app: FastAPI) -> None:
    """Make the application answer every error with a problem document."""
    app.add_exception_handler(HuoyanError, _on_huoyan_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(OperationalError, _on_store_error)
    app.add_exception_handler(Exception, _on_any_error)


async def _on_huoyan_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HuoyanError)
    return problem_of(error, request.url.path)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "-")
    detail = str(error.detail)
    if detail == status.phrase:
        detail = {
            404: f"expected a path of the API (see /api/v1/openapi.json), got {request.url.path[:200]!r}",
            405: f"expected another method for {request.url.path[:200]!r}, got {request.method}",
        }.get(error.status_code, detail)
    return problem(
        error.status_code,
        kind,
        status.phrase,
        detail,
        instance=request.url.path,
        headers=error.headers,
    )


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = _joined([_field(item) for item in error.errors()])
    in_body = any(field["field"].startswith("body") for field in fields)
    status, kind, title = (422, "invalid-body", "Invalid body") if in_body else (400, "invalid-query", "Invalid query")
    detail = "; ".join(f"{f['field']}: expected {f['expected']}, got {f['got']}" for f in fields[:3])
    if len(fields) > 3:
        detail += f"; and {len(fields) - 3} more"
    return problem(status, kind, title, detail, instance=request.url.path, errors=fields)


async def _on_store_error(request: Request, error: Exception) -> Response:
    log.error("the store did not answer %s %s: %s", request.method, request.url.path, error)
    return problem(
        503,
        "unreachable",
        "Not reachable",
        "expected the database to answer, got an error of it. The server's log says which; try again",
        instance=request.url.path,
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


async def _on_any_error(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        500,
        "internal",
        "Internal error",
        "the server failed to answer; its log has the reason",
        instance=request.url.path,
    )


def _field(item: Mapping[str, Any]) -> dict[str, str]:
    context = item.get("ctx") or {}
    expected = {
        "missing": "a value",
        "extra_forbidden": "no such field",
        "json_invalid": "JSON",
        "int_parsing": "a whole number",
        "float_parsing": "a number",
        "bool_parsing": "true or false",
        "string_type": "text",
        "string_too_short": f"at least {context.get('min_length')} characters",
        "string_too_long": f"at most {context.get('max_length')} characters",
        "greater_than": f"more than {context.get('gt')}",
        "greater_than_equal": f"at least {context.get('ge')}",
        "less_than": f"less than {context.get('lt')}",
        "less_than_equal": f"at most {context.get('le')}",
        "enum": f"{context.get('expected')}",
        "literal_error": f"{context.get('expected')}",
    }.get(item.get("type", ""), _lowered(item.get("msg", "another value")))
    got = "nothing" if item.get("type") == "missing" else _shown(item.get("input"))
    return {"field": _path(item.get("loc", ())), "expected": expected, "got": got}


def _joined(fields: list[dict[str, str]]) -> list[dict[str, str]]:
    """Say once what a field of several types may be; each of the types has an error of its own."""
    joined: dict[str, dict[str, str]] = {}
    for field in fields:
        known = joined.setdefault(field["field"], field)
        if known is not field:
            known["expected"] += f" or {field['expected']}"
    return list(joined.values())


def _path(loc: Sequence[Any]) -> str:
    text = ""
    for part in loc:
        if isinstance(part, str) and part.endswith("]"):
            continue  # one of several types, as pydantic calls it: `literal['stuck']`
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shown(value: Any, limit: int = 120) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
