"""The way from a command to the running daemon: where it listens, and with which token."""

from __future__ import annotations

import getpass
import json
import os
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from pydantic import ValidationError
from typing_extensions import override

from alertbridge.cli.options import is_absent
from alertbridge.config.explain import explain
from alertbridge.config.files import MAIN, read_document
from alertbridge.config.secret_reader import SecretReader
from alertbridge.config.server_settings import ServerSettings
from alertbridge.config.settings import Settings
from alertbridge.config.values import Folders
from alertbridge.errors import AlertbridgeError, ConfigurationError, Problem
from alertbridge.operate.guard import OPERATOR

_PAGE = 500
_PATIENCE = 120.0  # seconds: many rules take a while


class NoAnswer(AlertbridgeError):  # noqa: N818 - names what happened
    """The daemon could not be asked."""


class Unanswered(NoAnswer):
    """The daemon was asked, and its answer is that it cannot tell."""


class Caller:
    """Asks the daemon whose main configuration file is at `path`, or at `url` (http or https) if that is given.

    Only the section `server` of the file is needed, so that whatever is wrong elsewhere is for the daemon to say. Raises
    ConfigurationError if that section cannot be used.
    """

    def __init__(self, path: Path, *, url: str | None) -> None:
        there = os.path.exists(path)  # noqa: PTH110 - Path's raises where one may not look
        self._server = _read_server(path) if url is None or there else ServerSettings()
        if url is None and self._server.port == 0:
            problem = Problem(str(path), 0, 0, "server.listen", "port 0 does not tell where the daemon is")
            raise ConfigurationError((problem,))
        self._pinned = url is None and self._server.tls is not None
        self._asks_for_a_certificate = (
            self._pinned and self._server.tls is not None and self._server.tls.client_ca_file is not None
        )
        self._url = (url or _address(self._server)).rstrip("/")

    @property
    def url(self) -> str:
        """Where it asks."""
        return self._url

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of the answer to `body` as JSON. Raises NoAnswer."""
        status, said = self._ask("POST", path, query, b"" if body is None else json.dumps(body).encode())
        return status, self._json(status, said)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON that stands there. Raises Unanswered where there is none, with what the daemon says about it."""
        status, said = self._ask("GET", path, query)
        return self._good(status, self._json(status, said))

    def act(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What an operator's action has left behind. Raises Unanswered where it was refused, and then nothing has changed."""
        return self._good(*self.post(path, body))

    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines of JSON that long work is told in, as they come. Raises Unanswered where it was refused or broke off."""
        with self._opened("POST", path, {}, json.dumps(body).encode()) as answer:
            status = answer.status or 0
            if status != HTTPStatus.OK:
                raise Unanswered(self.refusal(status, self._json(status, answer.read())))
            try:
                for line in answer:
                    told = self._json(status, line)
                    if error := told.get("error"):
                        raise Unanswered(error)
                    yield told
            except (OSError, HTTPException) as error:
                raise NoAnswer(f"{self._url} broke off in the middle: {error}") from error

    def items(self, path: str, /, *, most: int | None = None, **query: str) -> Iterator[dict[str, Any]]:
        """Everything that a listing holds, or the first `most` of it, page by page. Raises Unanswered."""
        cursor: str | None = ""
        while cursor is not None and (most is None or most > 0):
            limit = _PAGE if most is None else min(_PAGE, most)
            continued = {"cursor": cursor} if cursor else {}
            page = self.get(path, **query, limit=str(limit), **continued)
            yield from page["items"]
            cursor = page["next"]
            most = None if most is None else most - len(page["items"])

    def read(self, path: str) -> str:
        """The text of the answer, whatever its status. Raises NoAnswer."""
        return self._ask("GET", path, {})[1].decode(errors="replace")

    def refusal(self, status: int, said: Mapping[str, Any]) -> str:
        """Why the daemon refused."""
        if status == HTTPStatus.UNAUTHORIZED and self._server.admin_token is None:
            return f"{self._url} wants the admin token, and none is known here; name the daemon's configuration with --config"
        if status == HTTPStatus.UNAUTHORIZED:
            return "the daemon knows another admin token; if it is the one before a change, send it a SIGHUP"
        reason = said.get("detail") or f"HTTP {status}, and no reason given"
        return "\n  ".join([reason, *said.get("matches", [])])

    def _good(self, status: int, said: dict[str, Any]) -> dict[str, Any]:
        if status != HTTPStatus.OK:
            raise Unanswered(self.refusal(status, said))
        return said

    def _ask(
        self, method: str, path: str, query: Mapping[str, str], data: bytes | None = None
    ) -> tuple[int, bytes]:
        with self._opened(method, path, query, data) as answer:
            try:
                return answer.status or 0, answer.read()
            except (OSError, HTTPException) as error:
                raise self._no_answer(error) from error

    def _opened(
        self, method: str, path: str, query: Mapping[str, str], data: bytes | None
    ) -> HTTPResponse | HTTPError:
        """The answer, whatever its status, to be read and closed. Raises NoAnswer."""
        said_as = "surrogateescape"  # an argument that is not UTF-8 is asked for by its bytes
        address = f"{self._url}{quote(path, errors=said_as)}?{urlencode(query, errors=said_as)}"
        request = Request(address, data=data, method=method)  # noqa: S310 - http or https
        request.add_header(OPERATOR, _operator())
        if self._server.admin_token is not None:
            token = (
                self._server.admin_token.reveal().encode().decode("latin-1")
            )  # headers are bytes in disguise
            request.add_header("Authorization", f"Bearer {token}")
        opener = build_opener(ProxyHandler({}), _Straight(), HTTPSHandler(context=self._context()))
        try:
            answer: HTTPResponse = opener.open(request, timeout=_PATIENCE)
        except HTTPError as error:
            return error
        except (OSError, HTTPException) as error:
            raise self._no_answer(error) from error
        return answer

    def _json(self, status: int, body: bytes) -> dict[str, Any]:
        """The JSON object that every answer of a daemon is. Raises NoAnswer where it is none."""
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise NoAnswer(
                f"{self._url} answers, with HTTP {status}, but not as alertbridge does; --url says where the daemon is"
            )
        return said

    def _no_answer(self, error: Exception) -> NoAnswer:
        reason = getattr(error, "reason", None) or error
        if self._asks_for_a_certificate and not isinstance(reason, ConnectionRefusedError):
            return NoAnswer(
                f"no answer from {self._url}: {reason}; it asks for a certificate (server.tls.client_ca_file), and was shown "
                "that in cert_file: let the same authority sign it, for clients too"
            )
        return NoAnswer(f"no answer from {self._url}: {reason}; is the daemon running? --url says where")

    def _context(self) -> ssl.SSLContext:
        """Trusts the certificate that the daemon is configured with, whatever name it bears; with `url`, the system's.

        A daemon that asks for a certificate is shown its own.
        """
        context = ssl.create_default_context()
        if self._pinned:
            assert self._server.tls is not None
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(self._server.tls.cert_file)
            if self._asks_for_a_certificate:
                context.load_cert_chain(self._server.tls.cert_file, self._server.tls.key_file)
        return context


class _Straight(HTTPRedirectHandler):
    """Follows no redirect: the token is meant for one address."""

    @override
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read_server(path: Path) -> ServerSettings:
    if is_absent(path):
        remedy = "name one with --config, or say with --url where the daemon is"
        raise ConfigurationError((Problem(str(path), 0, 0, "", "there is no configuration here", remedy),))
    document, problems = read_document(path, file=str(path), environ=os.environ, begin=MAIN)
    if document is None:
        raise ConfigurationError(problems)
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    folders = Folders(path.absolute().parent, Path(credentials) if credentials else None)
    data: Mapping[str, Any] = {"server": document.data.get("server") or {}}
    secrets = SecretReader(folders=folders)
    data = secrets.fill(document, Settings, data)
    wrong = [*secrets.problems]
    try:
        settings = Settings.model_validate(data, context=folders)
    except ValidationError as error:
        wrong += explain(error, document=document, model=Settings)
        raise ConfigurationError(tuple(wrong)) from None
    if wrong:
        raise ConfigurationError(tuple(wrong))
    return settings.server


def _address(server: ServerSettings) -> str:
    """Where this machine reaches the daemon: an address that stands for all of them stands for the loopback one too."""
    host = server.host
    try:
        parsed = ip_address(host)
    except ValueError:
        shown = host
    else:
        if parsed.is_unspecified:
            parsed = ip_address("127.0.0.1" if parsed.version == 4 else "::1")  # noqa: PLR2004 - IPv4
        shown = f"[{parsed}]" if parsed.version == 6 else str(parsed)  # noqa: PLR2004 - IPv6
    return f"{'https' if server.tls else 'http'}://{shown}:{server.port}"


def _operator() -> str:
    """The name under which the audit is to keep who did something here: that of this machine's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return ""
    return name.encode("ascii", "replace").decode()
