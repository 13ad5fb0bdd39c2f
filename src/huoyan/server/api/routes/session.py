"""Sessions: the page exchanges the token for a cookie that scripts cannot read."""

from fastapi import APIRouter, Request, Response

from huoyan.server.api import auth
from huoyan.server.api.context import Here
from huoyan.server.api.schemas.session import Session, SessionRequest

router = APIRouter(tags=["session"])


@router.get("/session", operation_id="getSession", summary="Ask whether a token is needed and present")
async def get_session(here: Here, request: Request) -> Session:
    """Say whether the server asks for a token and whether this request carried a valid one."""
    return Session(required=here.token is not None, ok=auth.permitted(request.scope, here.token, here.clock.now()))


@router.post("/session", operation_id="createSession", summary="Exchange the token for a cookie")
async def create_session(here: Here, request: Request, response: Response, body: SessionRequest) -> Session:
    """Set a cookie that stands for the token; a wrong token is refused with 401."""
    if here.token is None:
        return Session(required=False, ok=True)
    auth.require(body.token.get_secret_value(), here.token)
    secure = request.url.scheme == "https" or (here.public_url or "").startswith("https:")
    auth.set_cookie(response, here.token, here.clock.now(), secure=secure)
    return Session(required=True, ok=True)


@router.delete("/session", operation_id="deleteSession", summary="Forget the cookie")
async def delete_session(here: Here, response: Response) -> Session:
    """Remove the cookie."""
    auth.clear_cookie(response)
    return Session(required=here.token is not None, ok=here.token is None)
