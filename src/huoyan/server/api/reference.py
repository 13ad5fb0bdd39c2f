"""The reference page of the HTTP API: `python -m huoyan.server.api.reference docs/reference` writes it."""

import json
import sys
from pathlib import Path
from typing import Any

from huoyan.server.api.openapi import render as describe
from huoyan.server.ingest.wire import BATCH_EXAMPLE

_HEAD = """\
<!-- Written by `python -m huoyan.server.api.reference docs/reference`; edit the routes, not this page. -->
# HTTP API

Everything the page shows and the command line prints comes from here. The whole description, with every field and an
example of each answer, is OpenAPI 3.1 at `GET /api/v1/openapi.json`.

- Times are RFC 3339 in UTC with microseconds, durations are seconds (`…_s`). What is not known is `null`, never 0.
- Parameters `since` and `until` take RFC 3339, seconds since 1970, or a time relative to now: `-30s`, `-15m`, `-1h`,
  `-7d`.
- Filters that take several values take them comma separated or repeated: `state=failed,lost` is
  `state=failed&state=lost`.
- Lists answer `{"items": […], "next": cursor or null}`; pass `next` as `cursor` for the page after.
- Errors are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem documents: 400 for parameters, 422 for bodies,
  401 and 403 for who asks, 404, 409, 413, 415, and 503 with `Retry-After` when it is worth trying again.
- A server with a token answers only to `Authorization: Bearer TOKEN`, or to the cookie that `POST /api/v1/session`
  sets. One without answers only under addresses, `localhost` and the host of `server.public_url`.

At the root, outside the version: `GET /healthz` (the process lives), `GET /readyz` (the store answers; 503 with the
reasons when not), `GET /metrics` (Prometheus, see [Metrics](metrics.md)). Probes ask for no token.

```sh
curl -s 'http://127.0.0.1:8650/api/v1/runs?state=failed&since=-1h&limit=10'
curl -sN http://127.0.0.1:8650/api/v1/stream
```
"""
_EVENTS = """\
## Reporting runs from another language

A program that is not Python reports its runs by posting events; the [JSON Schema](event.schema.json) of a batch is also
at `GET /api/v1/events/schema`. Send what you know, when you know it, in any order and as often as you like: events
merge. The answer comes after the accepted events are stored, and tells what was not accepted and why.

```sh
curl -s http://127.0.0.1:8650/api/v1/events -H 'Content-Type: application/json' -d @- <<'EOF'
"""


def render() -> str:
    """Return the page."""
    document: dict[str, Any] = json.loads(describe())
    parts = [_HEAD]
    for tag in document["tags"]:
        rows = [
            (f"`{method.upper()} {path}`", about["summary"], _parameters(about))
            for path, item in document["paths"].items()
            for method, about in item.items()
            if tag["name"] in about["tags"]
        ]
        table = ["| request | what it does | parameters |", "| --- | --- | --- |"]
        table += ["| " + " | ".join(row) + " |" for row in rows]
        parts.append(f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n" + "\n".join(table) + "\n")
    batch = json.dumps(BATCH_EXAMPLE, indent=2)
    parts.append(f"{_EVENTS}{batch}\nEOF\n```\n")
    return "\n".join(parts)


def _parameters(about: dict[str, Any]) -> str:
    names = [f"`{parameter['name']}`" for parameter in about.get("parameters", []) if parameter["in"] == "query"]
    schema = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        names.append(f"body: `{schema['$ref'].rpartition('/')[2]}`")
    elif schema:
        names.append("body: a batch of events, gzip allowed")
    return ", ".join(names)


if __name__ == "__main__":
    (Path(sys.argv[1]) / "http-api.md").write_text(render(), encoding="utf-8")
