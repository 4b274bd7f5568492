"""The secrets of the settings: `x` or `x_file`, whichever stands in the file, becomes a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alertbridge.config import document as documents
from alertbridge.config.document import Document, field_name
from alertbridge.config.refuse import expected, plain
from alertbridge.config.secrets import UnreadableSecretError, checked, looks_secret, read_secret
from alertbridge.config.section import Section, is_secret, may_be_secret
from alertbridge.config.shape import items, models, tagged
from alertbridge.config.values import Folders
from alertbridge.errors import Problem
from alertbridge.model import Secret


class SecretReader:
    """Goes over the sections of a file and puts a Secret wherever `x` or `x_file` names one."""

    def __init__(self, *, folders: Folders) -> None:
        self.secrets: list[Secret] = []
        self.files: dict[str, Path] = {}  # the setting's name to the file that holds it
        self.problems: list[Problem] = []
        self._folders = folders

    def fill(self, document: Document, model: type[Section], data: Mapping[str, Any]) -> dict[str, Any]:
        """The `data` of a document with Secrets in it; one that cannot be read is left out and is a problem."""
        return self._section(document, model, data, ())

    def _fill(self, document: Document, annotation: Any, data: object, path: documents.Path) -> object:
        if isinstance(data, Mapping) and models(annotation):
            model = tagged(annotation, data.get("type"))
            return self._section(document, model, data, path) if model else data
        inside = items(annotation)
        if isinstance(data, Mapping) and inside is not None:
            return {key: self._fill(document, inside, value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list) and inside is not None and may_be_secret(inside):
            return [self._listed(each) for each in data]
        return data

    def _listed(self, value: object) -> object:
        """One of a list of secrets; what cannot be one stays, for the validation to refuse it in its place."""
        try:
            secret = self._inline(value)
        except UnreadableSecretError:
            return value
        self.secrets.append(secret)
        return secret

    def _section(
        self, document: Document, model: type[Section], data: Mapping[str, Any], path: documents.Path
    ) -> dict[str, Any]:
        filled = dict(data)
        for name, field in model.model_fields.items():
            if is_secret(field):
                filled.pop(name, None)
                secret = self._secret(document, data, (*path, name), needed=field.is_required())
                if secret is not None:
                    filled[name] = secret
            elif name in data:
                filled[name] = self._fill(document, field.annotation, data[name], (*path, name))
        return filled

    def _secret(
        self, document: Document, data: Mapping[str, Any], path: documents.Path, *, needed: bool
    ) -> Secret | None:
        name = str(path[-1])
        twin = f"{name}_file"
        if name in data and twin in data:
            self._refuse(document, path, f"both {name} and {twin} are given", "keep one of the two")
            return None
        if name not in data and twin not in data:
            if needed:
                self._refuse(
                    document,
                    path,
                    "this secret is missing",
                    f"add `{twin}:` with the path of a file, or `{name}:`",
                )
            return None
        try:
            secret = (
                self._inline(data[name]) if name in data else self._from_file(data[twin], field_name(path))
            )
        except UnreadableSecretError as error:
            self._refuse(document, path if name in data else (*path[:-1], twin), error.problem, error.remedy)
            return None
        if secret is not None:
            self.secrets.append(secret)
        return secret

    def _inline(self, value: object) -> Secret:
        if not isinstance(value, str):
            raise _unreadable(value)
        return checked(value, "the secret holds", "write it as one line of text, better into a file")

    def _from_file(self, value: object, name: str) -> Secret | None:
        if value is None:
            raise _unreadable(value)
        if not isinstance(value, str) or not value.strip():
            return None  # the section's own check says so
        path = self._folders.secret(value)
        self.files[name] = path
        try:
            return read_secret(path, read=self._folders.read)
        except UnreadableSecretError as error:
            if not looks_secret(value):
                raise self._with_folder(error, value, path) from None
            self.secrets.append(Secret(value))  # so that it is shown nowhere else
            raise UnreadableSecretError(
                "the path of a file belongs here; what stands here instead looks like a secret, so it is not shown",
                "write it into a file, and the path of that file here",
            ) from None

    def _with_folder(self, error: UnreadableSecretError, value: str, path: Path) -> UnreadableSecretError:
        """The same; of a file that may be among credentials which this process was not told of, that is said too."""
        astray = error.problem == f"{path} does not exist" and not Path(value).is_absolute()
        if not astray or self._folders.credentials is not None:
            return error
        return UnreadableSecretError(
            error.problem, f"{error.remedy}, or set $CREDENTIALS_DIRECTORY to the folder that it is in"
        )

    def _refuse(self, document: Document, path: documents.Path, problem: str, remedy: str) -> None:
        self.problems.append(document.problem(path, problem, remedy))


def _unreadable(value: object) -> UnreadableSecretError:
    problem, remedy = plain(expected("text", value))
    return UnreadableSecretError(problem, remedy)
