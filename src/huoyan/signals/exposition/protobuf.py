"""The protobuf format of Prometheus, the one that carries native histograms.

A stream of messages `io.prometheus.client.MetricFamily`, each after its length; the fields are those of
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto. Prometheus asks for it when
it keeps native histograms. Distributions leave in both forms, so that it may keep the classic buckets as well.
"""

import struct
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from huoyan.model.histogram import Histogram
from huoyan.model.native_histogram import NativeHistogram
from huoyan.model.varint import put, zigzag
from huoyan.signals.exposition.buckets import SPARE, Buckets
from huoyan.signals.exposition.families import Family, Key
from huoyan.signals.metric import Metric, MetricKind

if TYPE_CHECKING:
    from prometheus_client import Metric as ClientMetric

_DOUBLE = struct.Struct("<d")
_COUNTER, _GAUGE, _SUMMARY, _UNTYPED, _HISTOGRAM = range(5)
_TYPES = {MetricKind.COUNTER: _COUNTER, MetricKind.GAUGE: _GAUGE, MetricKind.DISTRIBUTION: _HISTOGRAM}
# Field of `Metric` that holds a value of the type.
_FIELDS = {_COUNTER: 3, _GAUGE: 2, _SUMMARY: 4, _UNTYPED: 5, _HISTOGRAM: 7}
# Of what prometheus-client collects: the type, the ending of its name, and the label that tells the parts of one value.
_FOREIGN = {
    "counter": (_COUNTER, "_total", ""),
    "gauge": (_GAUGE, "", ""),
    "info": (_GAUGE, "_info", ""),
    "stateset": (_GAUGE, "", ""),
    "histogram": (_HISTOGRAM, "", "le"),
    "summary": (_SUMMARY, "", "quantile"),
}
_VARINT, _FIXED64, _BYTES = 0, 1, 2


class ProtobufWriter:
    """Writes families as protobuf.

    Args:
        buckets: The classic buckets.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets
        self._labels: defaultdict[str, dict[Key, bytes]] = defaultdict(dict)

    def write(self, families: Iterable[Family], process: Iterable["ClientMetric"]) -> bytes:
        """Return the body.

        Args:
            families: What the server counted.
            process: What is known of the process, as prometheus-client collects it.
        """
        out = bytearray()
        for family in families:
            metric = family.metric
            kind = _TYPES[metric.kind]
            message = _head(metric.name, metric.help, kind)
            labels = self._encoded_labels(family)
            if kind == _HISTOGRAM:
                for key, histogram, counts in zip(
                    family.keys, family.distributions, self._buckets.counts(family), strict=True
                ):
                    value = self._histogram(histogram, self._buckets.bounds(metric), counts)
                    _field(message, 4, labels[key] + _message(_FIELDS[kind], value))
            else:
                for key, number in zip(family.keys, family.numbers, strict=True):
                    _field(message, 4, labels[key] + _message(_FIELDS[kind], _double(1, number)))
            put(out, len(message))
            out += message
        for found in process:
            message = _foreign(found)
            put(out, len(message))
            out += message
        return bytes(out)

    def _encoded_labels(self, family: Family) -> dict[Key, bytes]:
        encoded = self._labels[family.metric.name]
        if len(encoded) > 2 * len(family.keys) + SPARE:
            encoded = self._labels[family.metric.name] = {}
        for key in family.keys:
            if key not in encoded:
                encoded[key] = _label_pairs(family.metric, key)
        return encoded

    def _histogram(self, histogram: Histogram, bounds: list[float], counts: list[int]) -> bytes:
        native = NativeHistogram.of(histogram)
        out = bytearray()
        _number(out, 1, native.count)
        out += _double(2, native.sum)
        for bound, count in zip(bounds, counts, strict=True):
            bucket = bytearray()
            _number(bucket, 1, count)
            bucket += _double(2, bound)
            _field(out, 3, bucket)
        _number(out, 5, zigzag(native.schema))
        out += _double(6, native.zero_threshold)
        _number(out, 7, native.zero_count)
        # A histogram without any bucket is taken for a classic one; an empty span says that it is not.
        for offset, length in native.spans or ((0, 0),):
            span = bytearray()
            _number(span, 1, zigzag(offset))
            _number(span, 2, length)
            _field(out, 12, span)
        if native.deltas:
            packed = bytearray()
            for delta in native.deltas:
                put(packed, zigzag(delta))
            _field(out, 13, packed)
        return bytes(out)


def _foreign(found: "ClientMetric") -> bytearray:
    """Write a family that prometheus-client collected; when its series were created is left out."""
    kind, ending, part = _FOREIGN.get(found.type, (_UNTYPED, "", ""))
    name = f"{found.name}{ending}"
    message = _head(name, found.documentation, kind)
    compound: dict[Key, bytearray] = {}
    for sample in found.samples:
        labels = {label: value for label, value in sample.labels.items() if label != part}
        pairs = _pairs(labels.items())
        if not part:
            if sample.name == name:
                _field(message, 4, pairs + _message(_FIELDS[kind], _double(1, float(sample.value))))
            continue
        value = compound.setdefault(tuple(label for pair in labels.items() for label in pair), bytearray())
        if sample.name == f"{name}_count":
            _number(value, 1, int(sample.value))
        elif sample.name == f"{name}_sum":
            value += _double(2, float(sample.value))
        elif part in sample.labels:
            bound, number = float(sample.labels[part]), sample.value
            whole = bytearray()
            if kind == _HISTOGRAM:
                _number(whole, 1, int(number))
                whole += _double(2, bound)
            else:
                whole += _double(1, bound) + _double(2, float(number))
            _field(value, 3, whole)
    for key, value in compound.items():
        pairs = _pairs(zip(key[::2], key[1::2], strict=True))
        _field(message, 4, pairs + _message(_FIELDS[kind], value))
    return message


def _head(name: str, help_text: str, kind: int) -> bytearray:
    message = bytearray()
    _field(message, 1, name.encode())
    _field(message, 2, help_text.encode())
    _number(message, 3, kind)
    return message


def _label_pairs(metric: Metric, key: Key) -> bytes:
    return _pairs(zip(metric.labels, key, strict=True))


def _pairs(labels: Iterable[tuple[str, str]]) -> bytes:
    out = bytearray()
    for label, value in labels:
        pair = bytearray()
        _field(pair, 1, label.encode())
        _field(pair, 2, value.encode())
        _field(out, 1, pair)
    return bytes(out)


def _number(out: bytearray, field: int, value: int) -> None:
    put(out, field << 3 | _VARINT)
    put(out, value)


def _double(field: int, value: float) -> bytes:
    return bytes((field << 3 | _FIXED64,)) + _DOUBLE.pack(value)


def _field(out: bytearray, field: int, content: bytes | bytearray) -> None:
    put(out, field << 3 | _BYTES)
    put(out, len(content))
    out += content


def _message(field: int, content: bytes | bytearray) -> bytes:
    out = bytearray()
    _field(out, field, content)
    return bytes(out)
