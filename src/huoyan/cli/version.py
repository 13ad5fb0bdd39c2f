"""`huoyan version`: say which version this is."""

import json

from huoyan import __version__
from huoyan.cli.options import Json


def version(as_json: Json = False) -> None:
    """Say which version this is."""
    print(json.dumps({"version": __version__}) if as_json else f"huoyan {__version__}")
