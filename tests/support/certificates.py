"""An authority of the tests, and what it and others have signed; made by openssl."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Signs certificates of servers, in a folder of its own; whoever trusts `file` trusts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "authority.pem"
        self._openssl("req", "-x509", *_KEY, "-keyout", "authority.key", "-out", "authority.pem",
                      "-days", "2", "-subj", "/CN=authority of the tests")  # fmt: skip

    def server(self, name: str, *, host: str = "IP:127.0.0.1", days: int = 2) -> ssl.SSLContext:
        """What a server needs that calls itself `host`; with a negative number of days it has expired."""
        (self._folder / f"{name}.ext").write_text(f"subjectAltName={host}\n", encoding="ascii")
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", str(days),
                      "-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial",
                      "-extfile", f"{name}.ext")  # fmt: skip
        return self._context(name)

    def stranger(self) -> ssl.SSLContext:
        """A server that has signed its certificate itself."""
        self._openssl("req", "-x509", *_KEY, "-keyout", "stranger.key", "-out", "stranger.pem",
                      "-days", "2", "-subj", "/CN=stranger", "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
        return self._context("stranger")

    def _context(self, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        return context

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)


@cache
def pair() -> tuple[str, str]:
    """A certificate and its key, as PEM; always the same."""
    with tempfile.TemporaryDirectory() as folder:
        Authority(Path(folder))
        return tuple(  # type: ignore[return-value]
            (Path(folder) / name).read_text(encoding="ascii") for name in ("authority.pem", "authority.key")
        )
