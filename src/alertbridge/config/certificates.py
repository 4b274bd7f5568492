"""Files of certificates and keys, which are tried out when the configuration is loaded."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from alertbridge.config.refuse import refused
from alertbridge.config.values import Folders, ReadableFile

_MISMATCH = "KEY_VALUES_MISMATCH"


def _certificates(path: Path, info: ValidationInfo) -> Path:
    if isinstance(info.context, Folders):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
        except (ssl.SSLError, OSError):
            raise refused(f"{path} holds no certificate in PEM", "write the path of one that does") from None
    return path


def _key(path: Path, info: ValidationInfo) -> Path:
    """The key fits the certificate in `cert_file`, where that is one."""
    chain = info.data.get("cert_file") if isinstance(info.context, Folders) else None
    if chain is None:
        return path
    try:
        # A password that is not asked for: nobody is there to type one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, path, password="")
    except (ssl.SSLError, OSError, ValueError) as error:
        if getattr(error, "reason", "") == _MISMATCH:
            raise refused(
                f"{path} is not the key of the certificate in cert_file", "write the path of its key"
            ) from None
        raise refused(
            f"{path} holds no private key in PEM that can be read without a passphrase",
            "write the path of one that does",
        ) from None
    return path


Certificates = Annotated[ReadableFile, AfterValidator(_certificates)]
PrivateKey = Annotated[ReadableFile, AfterValidator(_key)]
