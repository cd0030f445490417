"""Waits for a condition, never for a time."""

import time
from typing import Callable, Optional, TypeVar

T = TypeVar("T")

# A slow machine needs longer; a broken stack never gets there. The clock of the stack ticks once a minute.
SECONDS_MAX = 150
SECONDS_BETWEEN = 0.2


def wait_for(what: str, probe: Callable[[], Optional[T]]) -> T:
    """The first result of the probe that is true. Fails after SECONDS_MAX."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        result = probe()
        if result:
            return result
        time.sleep(SECONDS_BETWEEN)
    raise AssertionError(f"{what} did not come within {SECONDS_MAX} s")
