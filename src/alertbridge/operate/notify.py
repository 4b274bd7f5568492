"""systemd's notify protocol: the daemon says when it is ready, what it does, that it is alive, and that it ends."""

from __future__ import annotations

import socket

import structlog


class Notifier:
    """Tells the service manager at `address`, which is `$NOTIFY_SOCKET`: a path, or a name that begins with `@`.

    Without an address nothing is said. A message that cannot be sent is logged and never in the way.
    """

    def __init__(self, address: str | None) -> None:
        # An abstract socket's name begins with a zero byte, written as @.
        self._address = address and ("\0" + address[1:] if address.startswith("@") else address)
        self._log = structlog.get_logger().bind()

    def ready(self, status: str) -> None:
        """The daemon has started and serves."""
        self._send("READY=1", _status(status))

    def stopping(self) -> None:
        """The daemon has begun to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """What `systemctl status` shows, as one line."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """The daemon is alive."""
        self._send("WATCHDOG=1")

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(0)  # a full queue is an error, not a wait
                channel.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            self._log.warning("notify.failed", error=str(error))


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())
