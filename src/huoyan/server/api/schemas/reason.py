"""Reasons as JSON: the English sentence, and what a page needs to say it in another language."""

from typing import Any

from pydantic import Field, model_validator

from huoyan.model.reason import recognise
from huoyan.server.api.schemas.base import Document


class Explained(Document):
    """Base of documents that say why."""

    reason: str
    """Why, in one English sentence, or in the words of whoever reported it."""
    reason_code: str = Field(default_factory=str)
    """Which of Huoyan's own sentences it is; empty for words of others."""
    reason_params: dict[str, str] = Field(default_factory=dict)
    """The particulars in that sentence. A reason within it is `why`, and the code of that one `why_code`; its own
    particulars begin with `why_`, too."""

    @model_validator(mode="before")
    @classmethod
    def _recognise(cls, data: Any) -> Any:
        if isinstance(data, dict) and "reason_code" not in data:
            code, found = recognise(data.get("reason") or "")
            return {**data, "reason_code": code, "reason_params": found}
        return data
