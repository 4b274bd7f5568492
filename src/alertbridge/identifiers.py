"""ULIDs that ascend: sorted by id is sorted by the order in which this process made them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from alertbridge.clock import Clock

_RANDOM_BITS = 80
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_PAIR_BITS = 10
_SHIFTS = range(12 * _PAIR_BITS, -1, -_PAIR_BITS)


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
            number = self._next()
        return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])

    def _next(self) -> int:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        if milliseconds > self._last >> _RANDOM_BITS:
            # The top bit stays clear, so that counting up within the millisecond never runs over.
            chance = int.from_bytes(self._entropy(_RANDOM_BITS // 8)) >> 1
            self._last = milliseconds << _RANDOM_BITS | chance
        else:
            self._last += 1
        return self._last
