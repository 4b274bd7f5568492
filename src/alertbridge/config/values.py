"""The kinds of values that settings are made of, each refusing what it is not in plain words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

from alertbridge.config.reading import Read, UnreadableError, read_bytes
from alertbridge.config.refuse import expected, kind, refused
from alertbridge.config.section import SecretText
from alertbridge.config.suggest import remedy
from alertbridge.config.units import Duration
from alertbridge.model import Secret, Severity

Network: TypeAlias = IPv4Network | IPv6Network

_T = TypeVar("_T")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
TEMPLATE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where relative paths lead: the configuration's folder and, when set, `$CREDENTIALS_DIRECTORY`; and what reads there."""

    base: Path
    credentials: Path | None = None
    read: Read = read_bytes

    def secret(self, path: str) -> Path:
        """Where the file of a secret is."""
        return (self.credentials or self.base) / path

    def file(self, path: str) -> Path:
        """Where any other file is: among the credentials if it exists there, else beside the configuration."""
        among = self.credentials / path if self.credentials else None
        if among is not None and os.path.exists(among):  # noqa: PTH110 - Path's raises for a name too long
            return among
        return self.base / path


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise expected("text", value)
    if not value.strip():
        raise refused("the text is empty", "give it a value, or remove the line")
    return value


def read_whole(value: object) -> object:
    """A whole number, also one that came as text from the environment."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise expected("a whole number", value)
    return value


def _switch(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    raise refused(f"expected true or false, got {kind(value)}", "write true or false, without quotes")


def one_of(choices: Mapping[str, _T]) -> Callable[[object], _T]:
    """A validator that takes one of a few words and returns what it stands for."""

    def read(value: object) -> _T:
        for word, meaning in choices.items():
            if value == word or (value is meaning and not isinstance(value, str)):
                return meaning
        if not isinstance(value, str):
            raise expected("text", value)
        # The word itself is not shown: now and then it is a token on the wrong line.
        raise refused("not one of the words it may be", remedy(value, choices, noun="write one of"))

    return read


def read_severity(value: object) -> Severity:
    """One of the five severities, in any case."""
    if isinstance(value, Severity):
        return value
    words = {severity.word: severity for severity in reversed(Severity)}
    return one_of(words)(value.strip().lower() if isinstance(value, str) else value)


def _network(value: object) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise expected("text", value)
    try:
        return ip_network(value.strip())
    except ValueError:
        pass
    try:
        near = ip_network(value.strip(), strict=False)
    except ValueError:
        raise refused(
            "this is not a network", "write for example 10.0.0.0/8, 192.0.2.7 or fd00::/8"
        ) from None
    raise refused("the address has bits set beyond its network", f"did you mean {near}?")


def _address(value: object) -> str:
    try:
        return str(ip_address(value.strip() if isinstance(value, str) else ""))
    except ValueError:
        raise refused("this is not an IP address", "write for example 192.0.2.7 or fd00::7") from None


def check_url(url: str, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """Refuse what is not an absolute URL of one of `schemes`, without showing it."""
    example = f"{schemes[-1]}://"
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise refused("the URL holds a space or a control character", "copy it again, as one line")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise refused("this is not a URL", f"write it whole, from {example} on") from None
    if parts.scheme.lower() not in schemes:
        raise refused(f"expected a URL with {' or '.join(schemes)}", f"write it whole, from {example} on")
    if not parts.hostname:
        raise refused("the URL names no host", f"write it whole, from {example} on")


def _base_url(value: str) -> str:
    check_url(value)
    parts = urlsplit(value)
    if parts.username is not None or parts.password is not None:
        raise refused("the URL holds credentials", "remove them: the token has a setting of its own")
    if parts.query or parts.fragment:
        raise refused("the URL holds a query or a fragment", "write only scheme, host, port and path")
    return value.rstrip("/")


def _secret_url(value: Secret) -> Secret:
    check_url(value.reveal())
    return value


def _readable(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    text = _text(value)
    folders = info.context
    if not isinstance(folders, Folders):
        return Path(str(text))
    path = folders.file(str(text))
    try:
        folders.read(path, most=1)
    except UnreadableError as error:
        raise refused(f"{path} {error.problem}", error.remedy) from None
    return path


def _name(value: object) -> object:
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    raise refused(
        "not a name that can stand in a URL",
        "use letters, digits, - and _, beginning with a letter or digit, 63 at most",
    )


def _template_name(value: object) -> object:
    if isinstance(value, str) and TEMPLATE_NAME.fullmatch(value):
        return value
    raise refused(
        "not a name that can stand in a template",
        "use letters, digits and _, beginning with a letter, 63 at most",
    )


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise refused("the duration must be longer than 0s", "write for example 10s")
    return value


Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
Switch = Annotated[bool, BeforeValidator(_switch), WithJsonSchema({"type": "boolean"})]
Count = Annotated[int, Field(ge=1), BeforeValidator(read_whole)]
Name = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})
]
TemplateName = Annotated[
    str,
    BeforeValidator(_template_name),
    WithJsonSchema({"type": "string", "pattern": f"^{TEMPLATE_NAME.pattern}$"}),
]
Span = Annotated[Duration, AfterValidator(_positive)]
Level = Annotated[
    Severity,
    BeforeValidator(read_severity),
    PlainSerializer(lambda severity: severity.word, return_type=str),
    WithJsonSchema({"type": "string", "enum": [severity.word for severity in reversed(Severity)]}),
]
NetworkText = Annotated[
    Network,
    BeforeValidator(_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
AddressText = Annotated[str, BeforeValidator(_address)]
BaseUrl = Annotated[Text, AfterValidator(_base_url)]
SecretUrl = Annotated[SecretText, AfterValidator(_secret_url)]
ReadableFile = Annotated[
    Path,
    BeforeValidator(_readable),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
