"""The tables, as SQLAlchemy Core knows them; `migrations/` brings a database to this shape.

Times are float seconds since 1970 UTC (`*_at`), durations float seconds (`*_s`), JSON columns take and give Python
values. A run is two rows: a narrow one that lists and filters read, and its merge state, which only a page or a merge
loads.
"""

from huoyan.server.store.schema import figures, incidents, measured, runs, watched
from huoyan.server.store.schema.keys import metadata

__all__ = ["figures", "incidents", "measured", "metadata", "runs", "watched"]
