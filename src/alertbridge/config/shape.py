"""What the settings' models look like from outside: which model stands where, and what it holds."""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from alertbridge.config.document import Path
from alertbridge.config.section import Section


def models(annotation: Any) -> tuple[type[Section], ...]:
    """The sections that a value of this annotation may be."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return (annotation,)
    if get_origin(annotation) in {dict, tuple, list}:
        return ()
    return tuple(model for each in get_args(annotation) for model in models(each))


def items(annotation: Any) -> Any:
    """The annotation of what a mapping or list of this annotation holds; None if it is neither."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return arguments[1]
    if origin in {tuple, list}:
        return arguments[0]
    inner = arguments[:1] if origin is Annotated else arguments
    return next((found for each in inner if (found := items(each)) is not None), None)


def tagged(annotation: Any, tag: object) -> type[Section] | None:
    """The section with the `type` that `tag` names; of only one, that one."""
    candidates = models(annotation)
    if len(candidates) == 1:
        return candidates[0]
    for model in candidates:
        if tag in get_args(model.model_fields["type"].annotation):
            return model
    return None


def keys(model: type[Section]) -> dict[str, str]:
    """The keys of a section as they are written, with the names of their fields."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


class Located:
    """Where an error of pydantic's lies: its path in the file, and the section whose key is the last step."""

    def __init__(self, model: type[Section], location: tuple[int | str, ...]) -> None:
        self.path: Path = ()
        self.owner: type[Section] | None = None
        self.at_key = False
        annotation: Any = model
        for step in location:
            candidates = models(annotation)
            self.owner = None
            if step == "[key]":
                self.at_key = True
            elif len(candidates) > 1:  # pydantic names the chosen type as if it were a step
                annotation = tagged(annotation, step)
            else:
                self.path = (*self.path, step)
                self.owner = candidates[0] if candidates else None
                annotation = self._below(annotation, step)

    def _below(self, annotation: Any, step: int | str) -> Any:
        if self.owner is None:
            return items(annotation)
        name = keys(self.owner).get(str(step))
        return self.owner.model_fields[name].annotation if name else None
