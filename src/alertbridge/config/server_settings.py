"""`server:`, the port that webhooks, metrics and the admin API are served on."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from alertbridge.config.certificates import Certificates, PrivateKey
from alertbridge.config.refuse import expected, refused
from alertbridge.config.section import SecretText, Section
from alertbridge.config.units import Size
from alertbridge.config.values import Span, Switch, Text

_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HIGHEST_PORT: Final = 65535


def _split(listen: str) -> tuple[str, int] | None:
    found = _LISTEN.fullmatch(listen)
    if found is None or int(found["port"]) > _HIGHEST_PORT:
        return None
    return found["v6"] or found["host"], int(found["port"])


def _listen(value: object) -> object:
    remedy = "write for example 127.0.0.1:9797, 0.0.0.0:9797 or [::1]:9797"
    if not isinstance(value, str):
        raise (
            expected("an address and a port", value)
            if value is None
            else refused("expected an address and a port", remedy)
        )
    if _split(value) is None:
        raise refused("this is not an address and a port", remedy)
    return value


class TlsSettings(Section):
    """HTTPS instead of HTTP."""

    cert_file: Certificates = Field(
        description="The certificate chain, PEM.", examples=["/etc/alertbridge/tls.crt"]
    )
    key_file: PrivateKey = Field(
        description="The private key, PEM, without a passphrase.", examples=["/etc/alertbridge/tls.key"]
    )
    client_ca_file: Certificates | None = Field(
        None,
        description="Certificates (PEM) that clients must be signed by: mutual TLS.",
        examples=["/etc/alertbridge/clients.pem"],
    )


class ServerSettings(Section):
    """The port that webhooks, metrics and the admin API are served on."""

    listen: Annotated[str, BeforeValidator(_listen)] = Field(
        "127.0.0.1:9797",
        description="Address and port to listen on; port 0 takes a free one.",
        examples=["127.0.0.1:9797", "0.0.0.0:9797", "[::1]:9797"],
    )
    max_body: Size = Field(
        16 * 2**20,
        description="The largest request body that is accepted, after inflation.",
        examples=["16MiB"],
    )
    tls: TlsSettings | None = Field(
        None,
        description="Serve HTTPS; without it, HTTP.",
        examples=[{"cert_file": "/etc/alertbridge/tls.crt", "key_file": "/etc/alertbridge/tls.key"}],
    )
    admin_token: SecretText | None = Field(
        None,
        description="The token for the admin API; needed unless listening on a loopback address.",
        examples=["${ADMIN_TOKEN}"],
    )
    admin_token_file: Text | None = Field(
        None, description="A file that holds the admin token.", examples=["admin-token"]
    )
    drain_timeout: Span = Field(
        timedelta(seconds=30),
        description="How long requests under way may take when the daemon stops.",
        examples=["30s"],
    )
    watch: Switch = Field(
        default=False,
        description="Reload by itself when a file of the configuration has changed: this one, a rule file or the file of a secret.",
        examples=[True],
    )

    @property
    def host(self) -> str:
        """The address or host name to listen on, without brackets."""
        return self._place[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0 for a free one."""
        return self._place[1]

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def _place(self) -> tuple[str, int]:
        place = _split(self.listen)
        assert place is not None, "validated on the way in"
        return place
