"""Secrets: read from files, and every trace of them taken out of what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from alertbridge.config.reading import Read, UnreadableError, read_bytes
from alertbridge.errors import SecretError
from alertbridge.model import Secret

_MOST_BYTES: Final = 64 * 1024
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SHORTEST: Final = 4
_SHORTEST_TOKEN: Final = 8
_SURELY_A_TOKEN: Final = 16
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class UnreadableSecretError(SecretError):
    """A secret that cannot be used, with what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


def read_secret(path: Path, *, read: Read = read_bytes) -> Secret:
    """The secret that the file holds, without the line break at its end.

    Raises:
        UnreadableSecretError: with the file's path, never with anything from it.
    """
    try:
        content = read(path, most=_MOST_BYTES + 1)
    except UnreadableError as error:
        raise UnreadableSecretError(f"{path} {error.problem}", error.remedy) from None
    if len(content) > _MOST_BYTES:
        raise UnreadableSecretError(
            f"{path} is larger than 64 KiB", "write the path of the file with the secret"
        )
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise UnreadableSecretError(f"{path} is not text", "save it as UTF-8")
    return checked(text, f"{path} holds", "write the secret into it, as one line")


def checked(text: str, where: str, remedy: str) -> Secret:
    """`text` as a Secret, if it is one line; `where` begins the sentence that says what is wrong with it.

    Raises:
        UnreadableSecretError: without any part of `text`.
    """
    if not text.strip():
        raise UnreadableSecretError(f"{where} nothing", remedy)
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise UnreadableSecretError(f"{where} bytes that are not UTF-8", remedy)
    if _CONTROL.search(text):
        raise UnreadableSecretError(f"{where} more than one line, or a control character", remedy)
    return Secret(text)


def looks_secret(text: str) -> bool:
    """Whether `text`, which should be a path and names no file, is rather a URL or a token."""
    if _URL.match(text):
        return True
    mixed = any(sign.isdigit() for sign in text) and any(sign.isalpha() for sign in text)
    return mixed and len(text) >= _SURELY_A_TOKEN and not text.startswith(("/", "./", "../", "~"))


class Redactor:
    """Replaces every trace of some secrets by `***`. Secrets shorter than four characters are left alone."""

    def __init__(self, secrets: tuple[Secret, ...]) -> None:
        self._secrets: set[Secret] = set()
        self._traces: list[str] = []
        self.learn(secrets)

    def learn(self, secrets: tuple[Secret, ...]) -> None:
        """Know these secrets too from now on; what was known stays known."""
        self._secrets |= set(secrets)
        traces = {trace for secret in self._secrets for trace in _traces(secret.reveal())}
        ordered = sorted(traces, key=lambda trace: (-len(trace), trace))
        # The pattern first: another thread that meets the new traces must not replace by the old pattern.
        self._pattern = re.compile("|".join(map(re.escape, ordered)))
        self._traces = ordered

    def clean(self, text: str) -> str:
        """`text` without the secrets, as they are, URL-quoted or JSON-escaped, and without the tokens in URLs."""
        if not any(trace in text for trace in self._traces):
            return text
        return self._pattern.sub("***", text)


def _traces(value: str) -> set[str]:
    """Every form in which the secret may turn up in a text."""
    parts = {value}
    if _URL.match(value):
        parts |= _url_parts(value)
    forms = {form for part in parts for form in _forms(part)}
    return {form for form in forms if len(form) >= _SHORTEST}


def _url_parts(url: str) -> set[str]:
    """Path with query, what can be a token in them, and a password before the host."""
    try:
        split = urlsplit(url)
    except ValueError:
        return set()
    target = split.path + (f"?{split.query}" if split.query else "")
    pieces = set(re.split(r"[/?&=;#]", f"{target}#{split.fragment}"))
    tokens = {piece for piece in pieces | set(map(unquote, pieces)) if like_a_token(piece)}
    whole = {target, unquote(target)} if len(target) >= _SHORTEST_TOKEN else set()
    return tokens | whole | ({split.password, unquote(split.password)} if split.password else set())


def like_a_token(piece: str) -> bool:
    """Long, and not merely a word such as `webhooks`, which stands in texts of all kinds."""
    if len(piece) < _SHORTEST_TOKEN:
        return False
    return len(piece) >= _SURELY_A_TOKEN or not re.fullmatch(r"[a-z]+", piece)


def _forms(part: str) -> set[str]:
    quoted = {quote(part), quote(part, safe=""), quote_plus(part), quote(part, safe=":/?&=")}
    lower = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in quoted}
    escaped = {json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1]}
    slashed = {form.replace("/", "\\/") for form in escaped}
    return {part} | quoted | lower | escaped | slashed
