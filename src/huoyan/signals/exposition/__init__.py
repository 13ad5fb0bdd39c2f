"""The formats of Prometheus, written by the server and by applications alike."""

from huoyan.signals.exposition.buckets import Buckets
from huoyan.signals.exposition.families import Exemplar, Family, Key
from huoyan.signals.exposition.negotiation import Format, negotiate
from huoyan.signals.exposition.protobuf import ProtobufWriter
from huoyan.signals.exposition.text import TextWriter

__all__ = ["Buckets", "Exemplar", "Family", "Format", "Key", "ProtobufWriter", "TextWriter", "negotiate"]
