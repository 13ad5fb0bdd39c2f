"""The fault panel: a page and an HTTP API that turn faults on and off.

GET  /api/faults                 {"demo": "huoyan", "faults": [{name, title, active, since_at, until_at, …}]}
POST /api/faults/NAME            {"on": true, "for_s": 40}; `for_s` may be left out
"""

import math
from collections.abc import Mapping
from typing import Any

from huoyan.demo.faults import Faults, FaultState
from huoyan.demo.panel_page import page
from huoyan.demo.web import Answer, Request
from huoyan.errors import NotFound

LONGEST_S = 3600.0


class Panel:
    """Answers the requests of the fault panel.

    Args:
        faults: What it turns on and off.
        links: Names and addresses to show at the top.
    """

    def __init__(self, faults: Faults, links: Mapping[str, str]) -> None:
        self._faults = faults
        self._page = page(links)

    def answer(self, request: Request) -> Answer:
        """Answer one request."""
        if request.method == "GET":
            if request.path == "/":
                return Answer(200, self._page)
            if request.path == "/api/faults":
                return Answer(200, {"demo": "huoyan", "faults": [_shown(state) for state in self._faults.states()]})
        elif request.path.startswith("/api/faults/"):
            return self._turn(request.path.removeprefix("/api/faults/"), request.body)
        return Answer(404, {"error": "there is nothing here"})

    def _turn(self, name: str, body: Mapping[str, Any]) -> Answer:
        on, for_s = body.get("on"), body.get("for_s")
        if not isinstance(on, bool):
            return Answer(400, {"error": f'expected {{"on": true}} or {{"on": false}}, got {on!r}'})
        if for_s is not None and not _is_duration(for_s):
            return Answer(400, {"error": f"for_s: expected seconds from 1 to {LONGEST_S:g}, got {for_s!r}"})
        try:
            state = self._faults.turn_on(name, for_s) if on else self._faults.turn_off(name)
        except NotFound as error:
            return Answer(404, {"error": error.message})
        return Answer(200, _shown(state))


def _is_duration(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (1 <= value <= LONGEST_S)
    )


def _shown(state: FaultState) -> dict[str, Any]:
    fault = state.fault
    return {
        "name": fault.name,
        "title": fault.title,
        "title_zh": fault.title_zh,
        "shows": fault.shows,
        "shows_zh": fault.shows_zh,
        "active": state.active,
        "since_at": state.since_at,
        "until_at": state.until_at,
    }
