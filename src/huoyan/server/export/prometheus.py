"""`/metrics`: what the collector counted, in the format that the scraper prefers."""

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import ProcessCollector

from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.server.export.families import Reading, Sample, gather
from huoyan.signals.exposition import Buckets, Format, ProtobufWriter, TextWriter, negotiate
from huoyan.signals.metrics.server import BUILD_INFO


class Exposition:
    """Writes `/metrics`. Keep one for the life of the server; it may be used from several threads.

    Args:
        version: Version of Huoyan, for `huoyan_build_info`.
        bounds_s: Upper bounds of the classic buckets in seconds, without infinity.
    """

    def __init__(self, version: str, bounds_s: Sequence[float] = DEFAULT_CLASSIC_BOUNDS_S) -> None:
        buckets = Buckets(bounds_s)
        self._text = TextWriter(buckets)
        self._protobuf = ProtobufWriter(buckets)
        self._process = ProcessCollector(registry=None)
        self._build = Reading(1, {"version": version})

    def render(self, samples: Mapping[str, Iterable[Sample]], accept: str | None = None) -> tuple[bytes, str]:
        """Write every metric.

        Args:
            samples: Name of the metric to its series, as the collector gives them, and what is known elsewhere.
                Unknown values are left out.
            accept: The `Accept` header of the request.

        Returns:
            The body and its content type.

        Raises:
            ValueError: A metric that is not in the vocabulary, or a value of the wrong kind.
        """
        families = gather({BUILD_INFO.name: [self._build], **samples})
        process = list(self._process.collect())
        chosen = negotiate(accept)
        if chosen is Format.PROTOBUF:
            return self._protobuf.write(families, process), chosen.value
        return self._text.write(families, process, chosen), chosen.value
