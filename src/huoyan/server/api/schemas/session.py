"""Sessions of the page as JSON."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from huoyan.server.api.schemas.base import Document, documented


class Session(Document):
    """Whether a token is needed, and whether this request carried a valid one."""

    model_config = documented({"required": True, "ok": True})

    required: bool
    ok: bool


class SessionRequest(BaseModel):
    """The token, exchanged for a cookie."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"token": "the value of server.token"}]},
    )

    token: SecretStr = Field(max_length=1000)
    """The server's token (`server.token`, `HUOYAN_TOKEN`)."""
