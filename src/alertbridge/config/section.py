"""What all sections of the settings share: frozen, no unknown keys, secrets with their `_file` twins."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.fields import FieldInfo

from alertbridge.config.refuse import expected
from alertbridge.model import Secret


def _read_secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise expected("text", value)


SecretText = Annotated[
    Secret,
    BeforeValidator(_read_secret),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "minLength": 1}),
]


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret, or may; then it has a `_file` twin. A list of secrets has none."""
    return may_be_secret(field.annotation)


def may_be_secret(annotation: Any) -> bool:
    """Whether a value of this annotation is a secret, or may be."""
    if get_origin(annotation) in {tuple, list, dict}:
        return False
    return annotation is Secret or any(may_be_secret(each) for each in get_args(annotation))


def _as_written(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Make a model's JSON Schema speak of what stands in files.

    Defaults are said as they would be written, and a needed secret `x` may be given as `x_file` instead.
    """
    defaults = model.model_construct().model_dump(mode="json", by_alias=True, exclude_none=True)
    for name, said in schema["properties"].items():
        if "default" in said:
            said["default"] = defaults.get(name)
            if said["default"] is None:
                del said["default"]
    secrets = [name for name, field in model.model_fields.items() if is_secret(field) and field.is_required()]
    if secrets:
        schema["required"] = [name for name in schema["required"] if name not in secrets]
        schema["allOf"] = [
            {"oneOf": [{"required": [name]}, {"required": [f"{name}_file"]}]} for name in secrets
        ]


class Section(BaseModel):
    """One mapping of the configuration.

    A secret `x` without a default is needed, as `x` or as `x_file`; `secrets.py` sees to it and fills `x`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        json_schema_extra=_as_written,
        field_title_generator=lambda name, _field: name,
    )
