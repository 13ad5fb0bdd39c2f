"""What every request passes: the refusal of foreign pages and of NUL, the token, and the headers of every answer."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huoyan.errors import HuoyanError, InvalidQuery
from huoyan.server.api import auth
from huoyan.server.api.context import Context
from huoyan.server.api.problems import problem_of

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Set on every answer that does not set its own; only the page needs a wider content policy."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if path.startswith("/api/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        context: Context = scope["app"].state.context
        try:
            if path not in ("/healthz", "/readyz"):
                auth.refuse_foreign(scope, context.token, context.public_url)
            if auth.guarded(path) and not auth.permitted(scope, context.token, context.clock.now()):
                raise auth.Unauthorized(
                    "expected `Authorization: Bearer TOKEN` with the server's token (server.token, HUOYAN_TOKEN), "
                    "got none or another one"
                )
            _refuse_nul(scope)
        except HuoyanError as error:
            await problem_of(error, path)(scope, receive, guarded_send)
            return
        await self.app(scope, receive, guarded_send)


def _refuse_nul(scope: Scope) -> None:
    """Raise for a character that no name has: PostgreSQL cannot even look for it, while SQLite finds nothing."""
    query: bytes = scope["query_string"]
    if "\0" in scope["path"] or b"%00" in query or b"\0" in query:
        raise InvalidQuery("path, query: expected text without the character NUL (%00)")
