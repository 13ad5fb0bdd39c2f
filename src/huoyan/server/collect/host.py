"""What the host of the server uses: its CPU, memory and disk, told like those of any other host."""

import socket
from pathlib import Path

import psutil

from huoyan.clock import Clock
from huoyan.server.collect.measured import MeasuredGauges
from huoyan.signals.measured import Frame, Measured
from huoyan.signals.metrics.process import HOST_CPU, HOST_DISK, HOST_MEMORY

SERVICE = "huoyan"


class Host:
    """Reads the host every 10 seconds.

    Args:
        gauges: Where to.
        clock: The time.
        folder: A folder on the disk that matters; the working directory by default.
    """

    name = "host"
    interval_s = 10.0

    def __init__(self, gauges: MeasuredGauges, clock: Clock, folder: Path | None = None) -> None:
        self._gauges = gauges
        self._clock = clock
        self._folder = folder if folder is not None else Path()
        self._host = (socket.gethostname() or "localhost",)
        # The first answer is since the last call, and there was none.
        psutil.cpu_percent()

    def run_once(self) -> None:
        """Read once."""
        now = self._clock.now()
        shares = {
            HOST_CPU: psutil.cpu_percent() / 100.0,
            HOST_MEMORY: psutil.virtual_memory().percent / 100.0,
            HOST_DISK: psutil.disk_usage(str(self._folder)).percent / 100.0,
        }
        frame = Frame("", 0, now, SERVICE, f"{SERVICE}@{self._host[0]}")
        frame.metrics = {metric.name: Measured(metric, {self._host: share}) for metric, share in shares.items()}
        self._gauges.take(frame, now, lambda name: name)
