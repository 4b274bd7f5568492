"""alertbridge on a machine whose clock is set: run as its module, with the seconds to add in the file `$CLOCK_OFFSET` names."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alertbridge import clock

OFFSET = Path(os.environ["CLOCK_OFFSET"])


class SetClock(clock.SystemClock):
    """Reads the machine's clock with the offset that the file holds now."""

    def __init__(self) -> None:
        super().__init__(wall=lambda: datetime.now(UTC) + timedelta(seconds=float(OFFSET.read_text())))


if __name__ == "__main__":
    clock.SystemClock = SetClock  # type: ignore[assignment, misc] # before anything imports it by name
    from alertbridge.cli.main import main

    main()
