"""Certificates and keys that cannot be used are mistakes of the configuration, and not of a start or of a reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertbridge.config.load import load
from alertbridge.errors import ConfigurationError
from tests.support.certificates import pair

REST = "rules: [{name: all, drop: true}]\n"
LOCKED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBDVb6hCFVYuBqRWkTRf
-----END ENCRYPTED PRIVATE KEY-----
"""


def wrong(folder: Path, main: str) -> list[tuple[str, str, str]]:
    certificate, key = pair()
    files = {"tls.crt": certificate, "tls.key": key, "locked.key": LOCKED, "text": "no PEM at all"}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="ascii")
    path = folder / "alertbridge.yaml"
    path.write_text(main + REST, encoding="ascii")
    try:
        load(path, environ={})
    except ConfigurationError as refused:
        return [(one.field, one.problem.removeprefix(f"{folder}/"), one.remedy) for one in refused.problems]
    return []


@pytest.mark.parametrize(
    ("tls", "field", "problem"),
    [
        ("cert_file: tls.crt", "key_file", "this setting is missing"),
        ("cert_file: tls.crt, key_file: no", "key_file", "no does not exist"),
        ("cert_file: text, key_file: tls.key", "cert_file", "text holds no certificate in PEM"),
        ("cert_file: tls.key, key_file: tls.key", "cert_file", "tls.key holds no certificate in PEM"),
        *(
            (
                f"cert_file: tls.crt, key_file: {name}",
                "key_file",
                f"{name} holds no private key in PEM that can be read without a passphrase",
            )
            for name in ("tls.crt", "text", "locked.key")
        ),
        (
            "cert_file: tls.crt, key_file: tls.key, client_ca_file: text",
            "client_ca_file",
            "text holds no certificate in PEM",
        ),
    ],
)
def test_what_the_port_cannot_be_served_with_is_named(
    tmp_path: Path, tls: str, field: str, problem: str
) -> None:
    ((where, what, remedy),) = wrong(tmp_path, f"server: {{tls: {{{tls}}}}}\n")
    assert (where, what) == (f"server.tls.{field}", problem)
    assert remedy


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    other = pair.__wrapped__()[1]
    (tmp_path / "other.key").write_text(other, encoding="ascii")
    ((where, what, _),) = wrong(tmp_path, "server: {tls: {cert_file: tls.crt, key_file: other.key}}\n")
    assert (where, what) == (
        "server.tls.key_file",
        "other.key is not the key of the certificate in cert_file",
    )


@pytest.mark.parametrize(
    ("section", "field"),
    [
        (
            "destinations: {elven: {type: elven, url: 'https://e.example/tok', ca_file: text}}\n",
            "destinations.elven.ca_file",
        ),
        (
            "sources: {prod: {type: alertmanager, reconcile: {urls: ['https://am.example'], ca_file: text}}}\n",
            "sources.prod.reconcile.ca_file",
        ),
    ],
)
def test_what_cannot_be_trusted_is_named(tmp_path: Path, section: str, field: str) -> None:
    assert wrong(tmp_path, section.replace("text", "tls.crt")) == []
    ((where, what, _),) = wrong(tmp_path, section)
    assert (where, what) == (field, "text holds no certificate in PEM")


def test_a_certificate_and_its_key_are_good(tmp_path: Path) -> None:
    tls = "cert_file: tls.crt, key_file: tls.key, client_ca_file: tls.crt"
    assert wrong(tmp_path, f"server: {{tls: {{{tls}}}}}\n") == []
