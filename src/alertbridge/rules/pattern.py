"""Regular expressions as Alertmanager means them: RE2's syntax, anchored at both ends, linear time."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import re2

from alertbridge.errors import PatternError
from alertbridge.rules.ambiguity import ambiguous_repeat
from alertbridge.rules.expression import Atom, Repeat, Unreadable, read

MAX_LENGTH = 1000

_SPECIAL = r"\\.+*?()|\[\]{}^$"
_LITERALS = re.compile(rf"(?:[^{_SPECIAL}]|\\[{_SPECIAL}-]|\|)*")
_LITERAL_TOKEN = re.compile(r"\\(.)|(\|)|([^\\|]+)", re.DOTALL)
_GROUP_REPEATED = re.compile(r"\)(?:[*+]|\{\d+,\})")
# What RE2 says, and what to do about it.
_REMEDIES = (
    (
        re.compile(r"\(\?<?[=!]"),
        "look-around is not supported",
        "add a second matcher, with !~ for what must not match",
    ),
    (
        re.compile(r"\\[1-9k]|\(\?P="),
        "backreferences are not supported",
        "write out the texts that may be repeated",
    ),
    (
        re.compile(r"\(\?>|\+\+|\*\+|\?\+"),
        "atomic groups and possessive repeats are not supported",
        "write the plain group or repeat: matching takes linear time anyway",
    ),
    (
        re.compile(r"\\Z"),
        "\\Z is not supported",
        "leave it out: a pattern is always anchored at both ends",
    ),
    (
        re.compile("repetition size|too large"),
        "the pattern is too large",
        "repeats may add up to 1,000 at most; use * or + instead of large counts",
    ),
    (
        re.compile("no argument for repetition"),
        "there is nothing to repeat",
        "a repeat stands after what it repeats: any text is .* and a literal star is \\*",
    ),
    (
        re.compile(r"missing \)|unexpected \)"),
        "the parentheses do not match",
        "close every group; a literal parenthesis is \\( or \\)",
    ),
)


# What is to be done instead where a pattern is looked for inside a text.
_SEARCHING = {
    "look-around is not supported": "match the text around it too, in groups, and put it back by $1",
    "\\Z is not supported": "write \\z for the end of the text",
}


def _options(*, capture: bool = False) -> Any:
    options = re2.Options()
    options.log_errors = False  # RE2 would write to standard error
    options.never_capture = not capture
    return options


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled regular expression; `literals` is set where it is only a choice between fixed texts."""

    text: str
    literals: frozenset[str] | None = field(repr=False, compare=False)
    _program: Any = field(repr=False, compare=False)

    @classmethod
    def compile(cls, text: str) -> Pattern:
        """The pattern written as `text`; raises PatternError with problem, remedy and offset."""
        if len(text) > MAX_LENGTH:
            raise PatternError(
                f"the pattern has {len(text)} characters, at most {MAX_LENGTH} are allowed",
                "split it over several matchers under `any:`",
                MAX_LENGTH,
            )
        if _LITERALS.fullmatch(text):
            return cls(text, _literals(text), None)
        program = _compiled(text)
        if _GROUP_REPEATED.search(text):
            _refuse_ambiguity(text)
        return cls(text, None, program)

    def matches(self, value: str) -> bool:
        """Whether the whole of `value` matches."""
        if self.literals is not None:
            return value in self.literals
        return self._program.fullmatch(value.encode(errors="replace")) is not None


def _literals(text: str) -> frozenset[str]:
    texts = [""]
    for escaped, bar, plain in _LITERAL_TOKEN.findall(text):
        if bar:
            texts.append("")
        else:
            texts[-1] += escaped or plain
    return frozenset(texts)


def searching(text: str) -> Any:
    """RE2's own object for the pattern `text`, which finds it anywhere and tells its groups; raises PatternError."""
    if len(text) > MAX_LENGTH:
        problem = f"the pattern has {len(text)} characters, at most {MAX_LENGTH} are allowed"
        raise PatternError(problem, "replace in several steps", MAX_LENGTH)
    try:
        program = _compiled(text, capture=True)
    except PatternError as error:
        known = next((said for said in _SEARCHING if error.problem.startswith(said)), "")
        raise PatternError(error.problem, _SEARCHING.get(known, error.remedy), error.offset) from error
    if _GROUP_REPEATED.search(text):
        _refuse_ambiguity(text)
    return program


def _compiled(text: str, *, capture: bool = False) -> Any:
    try:
        return re2.compile(text if capture else text.encode(), _options(capture=capture))
    except UnicodeEncodeError as error:
        raise PatternError("the pattern is not valid Unicode", offset=error.start) from error
    except re2.error as error:
        said = error.args[0]
        said = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise _refusal(text, said) from error


def _refusal(text: str, said: str) -> PatternError:
    _, _, fragment = said.partition(": ")
    offset = max(0, text.find(fragment))
    for sign, problem, remedy in _REMEDIES:
        if sign.search(said):
            return PatternError(f"{problem} ({said})", remedy, offset)
    return PatternError(f"invalid pattern ({said})", "the syntax is RE2's, as in Alertmanager", offset)


def _refuse_ambiguity(text: str) -> None:
    sample = "".join(sorted({*map(chr, range(1, 128)), *text, *"éßжء中😀"}))

    def members(atom: str) -> frozenset[str]:
        if len(atom) == 1 and atom != ".":
            return frozenset(atom)
        return frozenset(re2.compile(atom, _options()).findall(sample))

    try:
        repeat = ambiguous_repeat(read(text, members))
    except Unreadable:
        return
    if repeat is not None:
        raise PatternError(
            f"catastrophic pattern: {text[repeat.start : repeat.end]} can match one text in exponentially many ways",
            _simpler(repeat),
            repeat.start,
        )


def _simpler(repeat: Repeat) -> str:
    match repeat.body:
        case Repeat(Atom(text), least, None):
            return f"write {text}{'+' if repeat.least and least else '*'}"
        case _:
            return "what is repeated must match any text in one way only, as in ([a-z]+-)*[a-z]+"
