"""The runs that the collector has in hand, so that the next event of a run need not read it again."""

from collections import OrderedDict
from collections.abc import Iterable

from huoyan.server.collect.fold import Entry


class Hand:
    """Entries of runs by id, bounded. Those that have ended leave early: little more is said about them.

    Args:
        live: Runs that have not ended, at most.
        ended: Runs that have, at most; default a fifth of that.
    """

    def __init__(self, live: int, ended: int | None = None) -> None:
        self._most_live = live
        self._most_ended = max(live // 5, 1) if ended is None else ended
        self._live: OrderedDict[str, Entry] = OrderedDict()
        self._ended: OrderedDict[str, Entry] = OrderedDict()

    def get(self, run_id: str) -> Entry | None:
        """Return the entry of a run, None when it is not in hand."""
        return self._live.get(run_id) or self._ended.get(run_id)

    def keep(self, entries: Iterable[Entry]) -> None:
        """Take entries as they are stored now."""
        live, ended = self._live, self._ended
        for entry in entries:
            run_id = entry.run.id
            if entry.seen is not None and entry.seen.final:
                live.pop(run_id, None)
                ended[run_id] = entry
            else:
                ended.pop(run_id, None)
                live[run_id] = entry
                live.move_to_end(run_id)
        while len(live) > self._most_live:
            live.popitem(last=False)
        while len(ended) > self._most_ended:
            ended.popitem(last=False)

    def drop(self, run_ids: Iterable[str]) -> None:
        """Forget runs: what is stored of them is another thing now."""
        for run_id in run_ids:
            self._live.pop(run_id, None)
            self._ended.pop(run_id, None)

    def __len__(self) -> int:
        return len(self._live) + len(self._ended)
