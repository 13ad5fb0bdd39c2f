"""Puts the worked applications into the wheel, so that `huoyan demo` works where only the wheel is installed."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ApplicationsHook(BuildHookInterface):  # type: ignore[misc, type-arg]
    """Called by Hatch for each wheel. An editable installation finds the applications in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add `examples` under the demonstration's package."""
        if version != "editable":
            build_data["force_include"]["examples"] = "huoyan/demo/applications/examples"
