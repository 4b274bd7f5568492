"""YAML text into a Document: everything that is wrong with the file itself is found here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import yaml
from typing_extensions import override
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from alertbridge.config.document import Data, Document, Path, Place, Position
from alertbridge.config.environment import substitute
from alertbridge.config.refuse import kind
from alertbridge.config.syntax import explain_syntax
from alertbridge.errors import Problem

MOST_BYTES: Final = 8 * 2**20
_MOST_VALUES: Final = 200_000
_DEEPEST: Final = 40

_TAG: Final = "tag:yaml.org,2002:"
_PLAIN: Final = "plain"
_INTEGER = re.compile(r"[-+]?[0-9]{1,1000}|0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,5})?")
_WORDS: Final[Mapping[str, bool | float | None]] = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
    ".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan,
}  # fmt: skip

Scalar: TypeAlias = "str | int | float | bool | None"


class _Loader(yaml.SafeLoader):
    """Composes nodes only, and marks unquoted scalars without a tag as such: `_plain` says what they are."""

    @override
    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]


class _TooMuch(Exception):  # noqa: N818 - ends the walk, never leaves this module
    def __init__(self, node: Node, problem: str) -> None:
        super().__init__(problem)
        self.node = node
        self.problem = problem


def parse(
    content: bytes, *, file: str, environ: Mapping[str, str], begin: str
) -> tuple[Document | None, tuple[Problem, ...]]:
    """Read one file; the document is None when it cannot be read at all, and then the problems say why.

    `file` is its name in messages; `begin` says what to write into it when it is empty.
    """
    text, problem = _decode(content, file)
    if problem is not None:
        return None, (problem,)
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is None or (isinstance(root, ScalarNode) and not root.value):
            return None, (Problem(file, 0, 0, "", "the file is empty", begin),)
        walk = _Walk(file=file, text=text, environ=environ)
        data = walk.value(root, (), None)
    except yaml.YAMLError as error:
        problem = explain_syntax(error, file=file, text=text)
    except _TooMuch as limit:
        mark = limit.node.start_mark
        problem = Problem(
            file,
            mark.line + 1,
            mark.column + 1,
            "",
            limit.problem,
            "write it out with fewer aliases and levels",
        )
    except RecursionError:
        problem = Problem(file, 0, 0, "", "the values are nested too deeply", "write it with fewer levels")
    else:
        if isinstance(data, dict):
            return Document(file, data, walk.positions), tuple(walk.problems)
        problem = Problem(file, *_start(root), "", f"expected a mapping at the top, got {kind(data)}", begin)
    return None, (problem,)


def _decode(content: bytes, file: str) -> tuple[str, Problem | None]:
    if len(content) > MOST_BYTES:
        return "", Problem(
            file, 0, 0, "", "the file is larger than 8 MiB", "split it into several rule files"
        )
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return "", Problem(file, line, 1, "", "the file is not UTF-8", "save it in the encoding UTF-8")


class _Walk:
    """One pass over the nodes of a file, which notes data, positions and problems."""

    def __init__(self, *, file: str, text: str, environ: Mapping[str, str]) -> None:
        self.positions: dict[Path, Position] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._text = text
        self._environ = environ
        self._count = 0

    def value(self, node: Node, path: Path, key: Place | None) -> Data:
        """The data of `node`, which stands at `path`."""
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _TooMuch(node, f"the file, with its aliases, holds more than {_MOST_VALUES} values")
        if len(path) > _DEEPEST:
            raise _TooMuch(node, f"the values are nested more than {_DEEPEST} levels deep")
        self.positions[path] = Position(_start(node), key)
        match node:
            case ScalarNode():
                return self._scalar(node, path, key)
            case SequenceNode():
                self._check_tag(node, path, "seq")
                return [self.value(child, (*path, index), None) for index, child in enumerate(node.value)]
            case MappingNode():
                self._check_tag(node, path, "map")
                return self._mapping(node, path)
            case _:
                raise AssertionError("YAML has three kinds of nodes")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Data]:
        data: dict[str, Data] = {}
        for key, child in node.value:
            place = _start(key)
            name = self._key(key, path)
            if name is None:
                continue
            if name in data:
                first = self.positions[*path, name].key or place
                self._refuse(
                    place,
                    (*path, name),
                    f"this key stands already on line {first.line}",
                    "keep one of the two",
                )
                continue
            data[name] = self.value(child, (*path, name), place)
        return data

    def _key(self, node: Node, path: Path) -> str | None:
        if not isinstance(node, ScalarNode):
            templated = isinstance(node, MappingNode) and node.flow_style
            problem = "a template stands without quotes" if templated else "a key must be text"
            remedy = (
                'put the whole text in quotes: "{{ ... }}"' if templated else "write a name before the colon"
            )
            self._refuse(_start(node), path, problem, remedy)
            return None
        name = str(node.value)
        if name == "<<" and node.style is None:
            self._refuse(_start(node), path, "merge keys `<<` are not read", "write the keys out")
            return None
        if not name:
            self._refuse(_start(node), path, "a key is empty", "write a name before the colon")
            return None
        return name

    def _scalar(self, node: ScalarNode, path: Path, key: Place | None) -> Scalar:
        raw = str(node.value)
        value = _plain(raw) if node.tag == _PLAIN else self._tagged(node, raw, path)
        if not isinstance(value, str):
            self.positions[path] = Position(_start(node), key, _start(node) if raw else None, raw)
            return value
        text, mistakes = substitute(value, self._environ)
        self.positions[path] = Position(_start(node), key, self._inline(node, text))
        inline = self._inline(node, value)
        for mistake in mistakes:
            place = Place(inline.line, inline.column + mistake.offset) if inline else _start(node)
            self._refuse(place, path, mistake.problem, mistake.remedy)
        return text

    def _tagged(self, node: ScalarNode, raw: str, path: Path) -> Scalar:
        if node.tag == _TAG + "str":
            return raw
        value = _plain(raw)
        kinds = {"int": int, "float": float, "bool": bool, "null": type(None)}
        if type(value) is kinds.get(str(node.tag).removeprefix(_TAG)):
            return value
        self._check_tag(node, path, "str")
        return ""

    def _check_tag(self, node: Node, path: Path, name: str) -> None:
        if node.tag != _TAG + name:
            self._refuse(
                _start(node),
                path,
                "a tag `!` that is not understood",
                "remove it; if it is text, put it in quotes",
            )

    def _inline(self, node: ScalarNode, value: str) -> Place | None:
        quoted = 1 if node.style in {"'", '"'} else 0
        begin = node.start_mark.index + quoted
        if not value or "\n" in value or not self._text.startswith(value, begin):
            return None
        place = _start(node)
        return Place(place.line, place.column + quoted)

    def _refuse(self, place: Place, path: Path, problem: str, remedy: str) -> None:
        # The field is named by Document, which is not there yet.
        document = Document(self._file, {}, {path: Position(place)})
        self.problems.append(document.problem(path, problem, remedy))


def _start(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _plain(text: str) -> Scalar:
    """What unquoted text is in YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)  # noqa: PLR2004 - the usual base
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
