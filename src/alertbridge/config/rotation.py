"""The secrets of one destination, read again from their files: what a vendor refuses may have been replaced there."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from alertbridge.config.document import field_name
from alertbridge.config.load import Configuration
from alertbridge.config.secrets import UnreadableSecretError, read_secret
from alertbridge.config.section import is_secret
from alertbridge.model import Secret


def rotated(running: Configuration, destination: str) -> Configuration | None:
    """The same configuration with the secrets that the files of `destination` hold now; None if they are the same.

    Raises UnreadableSecretError if one cannot be used.
    """
    section = running.settings.destinations[destination]
    fresh: dict[str, Secret] = {}
    for name, field in type(section).model_fields.items():
        path = running.secret_files.get(field_name(("destinations", destination, name)))
        if path is None or not is_secret(field):
            continue
        secret = read_secret(path)
        if secret != getattr(section, name):
            fresh[name] = _checked(secret, Annotated[field.annotation, *field.metadata], str(path))
    if not fresh:
        return None
    exchanged = {getattr(section, name): secret for name, secret in fresh.items()}
    destinations = {**running.settings.destinations, destination: section.model_copy(update=fresh)}
    return replace(
        running,
        settings=running.settings.model_copy(update={"destinations": destinations}),
        secrets=tuple(exchanged.get(secret, secret) for secret in running.secrets),
    )


def _checked(secret: Secret, kind: Any, path: str) -> Secret:
    try:
        TypeAdapter(kind).validate_python(secret)
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0].get("ctx", {})
        raise UnreadableSecretError(f"{path}: {said['problem']}", said["remedy"]) from None
    return secret
