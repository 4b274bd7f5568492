"""ULIDs that ascend: sorted by id is sorted by the order in which this process made them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ulid import ULID

from alertbridge.clock import Clock

_RANDOM_BITS = 80


class Ulids:
    """Makes ids of 26 characters; each is greater than the one before, also within a millisecond or a clock step."""

    def __init__(self, *, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._last = 0
        self._lock = threading.Lock()  # requests and decisions are numbered in different threads

    def __call__(self) -> str:
        """The next id."""
        with self._lock:
            return str(ULID(self._next().to_bytes(16)))

    def _next(self) -> int:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        if milliseconds > self._last >> _RANDOM_BITS:
            # The top bit stays clear, so that counting up within the millisecond never runs over.
            chance = int.from_bytes(self._entropy(_RANDOM_BITS // 8)) >> 1
            self._last = milliseconds << _RANDOM_BITS | chance
        else:
            self._last += 1
        return self._last
