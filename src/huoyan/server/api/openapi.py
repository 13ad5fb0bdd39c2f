"""The description of the API: `python -m huoyan.server.api.openapi` prints it, the page builds its types from it."""

import json
import sys
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from huoyan import __version__
from huoyan.server.api.schemas.base import Document
from huoyan.server.api.schemas.problem import Problem
from huoyan.server.ingest.wire import schema_components

TAGS = (
    ("overview", "Whether all is well, at a glance."),
    ("runs", "Every task execution, with its attempts."),
    ("workflows", "Runs that belong together."),
    ("tasks", "Task types and how they do."),
    ("deploys", "When services began to run which version, and what became of their figures."),
    ("services", "Services that answer HTTP, their endpoints and how they do."),
    ("queues", "What waits."),
    ("measurements", "What processes measure: label budgets, resources, funnels."),
    ("workers", "Who works, and who is gone."),
    ("schedules", "What is due when, and whether it was done."),
    ("failures", "Failures grouped by cause."),
    ("causes", "What the slowest requests or runs do differently."),
    ("signals", "Quantities that charts, rules and Prometheus share."),
    ("alerting", "Rules and the alerts they raise."),
    ("ledger", "What queues hold, by our books and by their brokers."),
    ("gaps", "When nothing could be heard."),
    ("incidents", "What people are told of and deal with."),
    ("events", "How clients report."),
    ("stream", "What changes, live."),
    ("session", "The page's session."),
)
_DESCRIPTION = """\
Everything Huoyan knows, as JSON. Times are RFC 3339 in UTC, durations are seconds (`…_s`). Lists answer
`{"items": […], "next": cursor or null}`; ask for the next page with `cursor`. Errors are RFC 9457 problem documents.
When the server has a token, send `Authorization: Bearer TOKEN`; browsers exchange it for a cookie at `/api/v1/session`.
"""
_ERRORS = {
    "400": "A parameter is wrong; the problem names it.",
    "401": "The server asks for a token and none, or another one, came.",
    "403": "The request comes from a foreign page.",
    "404": "There is no such thing.",
    "409": "The thing is in a state that forbids the step.",
    "422": "The body is wrong; the problem names every field.",
    "503": "The store does not answer; try again after `Retry-After` seconds.",
}
_METHODS = ("get", "post", "put", "patch", "delete")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the application, with every error as a problem document."""
    document = get_openapi(
        title="Huoyan",
        version=__version__,
        summary="Runs, failures, signals and incidents of every watched service.",
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    schemas.update(schema_components("#/components/schemas/{name}"))
    for kind in _documents(Document):
        # FastAPI leaves out what is null, and an example without its nulls does not meet its own schema.
        extra = kind.model_config.get("json_schema_extra")
        if kind.__name__ in schemas and isinstance(extra, dict):
            schemas[kind.__name__].update(extra)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "The server's token."},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "huoyan_session", "description": "Set by `/session`."},
    }
    for path, item in document["paths"].items():
        public = path == "/api/v1/session"
        for method in _METHODS:
            if method in item:
                operation = item[method]
                operation["security"] = [] if public else [{}, {"token": []}, {"cookie": []}]
                _add_errors(operation, path, method)
    return document


def _documents(kind: type[Document]) -> Iterator[type[Document]]:
    for each in kind.__subclasses__():
        yield each
        yield from _documents(each)


def _add_errors(operation: dict[str, Any], path: str, method: str) -> None:
    responses = operation["responses"]
    codes = {"401", "403", "503"}
    if operation.get("parameters"):
        codes.add("400")
    if "{" in path:
        codes.add("404")
    if method == "post":
        codes.add("422")
    elif "HTTPValidationError" in json.dumps(responses.get("422", {})):
        # Parameters are answered with 400: nothing is wrong with a body that is not there.
        responses.pop("422")
    for code in sorted(codes):
        described = responses.setdefault(code, {})
        if described.get("description", "Validation Error") == "Validation Error":
            described["description"] = _ERRORS[code]
    for code, described in responses.items():
        if code < "400":
            continue
        content = described.get("content", {}).get("application/json", {})
        schema = content.get("schema", {})
        if not schema or "HTTPValidationError" in json.dumps(schema):
            schema = {"$ref": "#/components/schemas/Problem"}
        described["content"] = {"application/problem+json": {"schema": schema}}
    operation["responses"] = dict(sorted(responses.items()))


def render() -> str:
    """Return the document as text, the same for the same API."""
    from huoyan.server.api.assembly import assemble

    return json.dumps(assemble().openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
