"""What tests of Huoyan, and of programs that use it, can build on."""

from huoyan.testing.clock import FakeClock
from huoyan.testing.memory_source import MemorySource

__all__ = ["FakeClock", "MemorySource"]
