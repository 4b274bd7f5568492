from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertbridge.incidents.convergence import Dropped, Said, Unsent, Word, contradicts, reduce
from alertbridge.model import Action
from tests.support.naive_reducer import World, after, fewest, good


def word(text: str) -> Word:
    """`A1` is the alarm of incident 1, `A1+` its update, `R1` its resolve."""
    action = Action.ALARMED if text[0] == "A" else Action.RESOLVED
    return Word(action, text[1], text[2:] if action is Action.ALARMED else "")


def line(text: str) -> list[Unsent]:
    """`?R1` resolves the unknown, `=R1` is said again."""
    return [
        Unsent(f"{place}:{each}", word(each.lstrip("?=")), blind=each[0] == "?", again=each[0] == "=")
        for place, each in enumerate(text.split())
    ]


def said(text: str) -> Said:
    """The last that arrived, `-` for none, then what may have arrived."""
    first, *rest = text.split()
    return Said(None if first == "-" else word(first), tuple(word(each) for each in rest))


def kept(before: str, unsent: str, *, collapse: bool = False) -> str:
    waiting = line(unsent)
    gone = {one.id for one in reduce(said(before), waiting, collapse=collapse)}
    return " ".join(one.id.split(":")[1] for one in waiting if one.id not in gone)


@pytest.mark.parametrize(
    ("before", "unsent", "plain", "collapsed"),
    [
        ("-", "A1", "A1", "A1"),
        ("-", "A1 R1", "A1 R1", ""),
        ("-", "A1 R1 A2", "A2", "A2"),
        ("-", "A1 R1 A2 R2 A3 R3", "A3 R3", ""),
        ("A1", "R1", "R1", "R1"),
        ("A1", "R1 A2", "R1 A2", "R1 A2"),
        ("A1", "R1 A2 R2 A3", "R1 A3", "R1 A3"),
        ("A1", "R1 A2 R2 A3 R3", "R1 A3 R3", "R1"),
        ("R1", "A2 R2 A3", "A3", "A3"),
        ("A1", "A1+ R1", "R1", "R1"),
        ("A1", "A1+ A1++", "A1++", "A1++"),
        ("A1", "A1+ A1", "", ""),
        ("A1", "R1 A1", "", ""),
        ("A1", "R1 A1 R1", "R1", "R1"),
        ("- A1", "A1 R1", "A1 R1", "R1"),
        ("- A1", "A1 R1 A2", "R1 A2", "R1 A2"),
        ("- A1", "A1", "A1", "A1"),
        ("A1 R1", "R1", "R1", "R1"),
        ("A1 R1", "R1 A2", "R1 A2", "R1 A2"),
        ("A1 R1", "R1 A1", "A1", "A1"),
        ("-", "R1", "", ""),
        ("R1", "R2", "", ""),
        ("-", "?R1", "?R1", "?R1"),
        ("R1", "?R2", "?R2", "?R2"),
        ("-", "?R1 A2", "?R1 A2", "?R1 A2"),
        ("-", "?R1 A2 R2", "?R1 A2 R2", "?R1"),
        ("-", "?R1 ?R2", "?R2", "?R2"),
        ("A1", "R1 ?R2", "R1", "R1"),
        ("-", "A1 R1 ?R2", "A1 R1 ?R2", "?R2"),
        ("A1", "R1 ?R2 A1+", "A1+", "A1+"),
        ("A1 R1", "R1 ?R2 A1", "A1", "A1"),
        ("- A1", "R1 ?R2 A1", "?R2 A1", "?R2 A1"),
        ("R1", "?R2 A3 R3 ?R4", "?R2 A3 R3", "?R2"),
        ("R1", "=R1", "=R1", "=R1"),
        ("R1", "=R1 A2", "A2", "A2"),
        ("A1", "=A1 R1", "R1", "R1"),
    ],
)
def test_the_fewest_that_make_the_last_state_true(
    before: str, unsent: str, plain: str, collapsed: str
) -> None:
    assert kept(before, unsent) == plain
    assert kept(before, unsent, collapse=True) == collapsed


def test_what_is_not_said_names_what_is_said_instead() -> None:
    first, over, last = line("A1 R1 A2")
    assert reduce(Said(), [first, over, last], collapse=False) == tuple(
        Dropped(one.id, f"superseded by alarmed {last.id} of incident 2", last.id) for one in (first, over)
    )


def test_what_is_collapsed_is_skipped_and_not_superseded() -> None:
    gone = reduce(Said(), line("A1 R1"), collapse=True)
    assert [one.skipped for one in gone] == [True, True]
    assert {one.reason for one in gone} == {"the incident was over before this was sent (collapse: true)"}


def test_what_nobody_was_told_of_needs_no_resolve_and_says_so() -> None:
    (gone,) = reduce(Said(), line("R1"), collapse=False)
    assert (gone.by, gone.skipped) == (None, False)
    assert "nothing to close" in gone.reason


@pytest.mark.parametrize(
    ("late", "last", "undoes"),
    [
        ("A1", "R1", True),
        ("R1", "A2", True),
        ("A1", "A1+", True),
        ("A1", "A1", False),
        ("R1", "R2", False),
    ],
)
def test_only_what_says_something_else_can_undo_what_was_said(late: str, last: str, *, undoes: bool) -> None:
    assert contradicts(word(late), word(last)) is undoes


@dataclass
class Key:
    """One key at a destination, from the truth to what is believed there."""

    collapse: bool
    number: int = 0
    truth: World = None
    announced: set[str] = field(default_factory=set)
    waiting: list[Unsent] = field(default_factory=list)
    said: Said = field(default_factory=Said)
    believed: World = None
    sent: list[Unsent] = field(default_factory=list)
    posted: int = 0

    def post(self, each: Word, *, blind: bool = False) -> None:
        self.posted += 1
        self.waiting.append(Unsent(f"{self.posted:03}", each, blind=blind))
        self.converge()

    def converge(self) -> None:
        if not self.waiting:
            return
        gone = {one.id for one in reduce(self.said, self.waiting, collapse=self.collapse)}
        chosen = [one for one in self.waiting if one.id not in gone]
        assert good(self.said, self.waiting, chosen, collapse=self.collapse), (
            self.said,
            self.waiting,
            chosen,
        )
        assert len(chosen) == fewest(self.said, self.waiting, collapse=self.collapse)
        self.waiting = chosen

    def live(self, step: str) -> None:
        match step:
            case "open" if self.truth is None:
                self.number += 1
                self.truth = (str(self.number), "")
                self.post(Word(Action.ALARMED, *self.truth))
            case "reopen" if self.truth is None and self.number:
                self.truth = (str(self.number), "")
                self.post(Word(Action.ALARMED, *self.truth))
            case "change" if self.truth is not None:
                self.truth = (self.truth[0], "" if self.truth[1] else "+")
                self.post(Word(Action.ALARMED, *self.truth))
            case "close" if self.truth is not None:
                incident, self.truth = self.truth[0], None
                self.post(Word(Action.RESOLVED, incident, ""))
            case "unknown" if self.truth is None:
                self.post(Word(Action.RESOLVED, f"?{self.posted}", ""), blind=True)
            case "arrives" | "fails" | "lands" | "is lost" if self.waiting:
                self.send(step)
            case _:
                pass

    def send(self, outcome: str) -> None:
        self.converge()
        if not self.waiting:
            return
        head = self.waiting[0]
        self.sent.append(head)
        if outcome in {"arrives", "lands"}:
            self.believed = after(self.believed, head.word)
        if outcome == "arrives":
            self.said, self.waiting = Said(head.word), self.waiting[1:]
        elif outcome != "fails":
            self.said = replace(self.said, perhaps=(*self.said.perhaps, head.word))


STEPS = ["open", "close", "change", "reopen", "unknown", "arrives", "fails", "lands", "is lost"]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=40), st.booleans())
def test_a_key_of_any_life_ends_in_the_true_state_with_the_fewest_requests(
    steps: list[str],
    collapse: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    key = Key(collapse)
    for step in steps:
        key.live(step)
        assert len(key.waiting) <= 3, "whatever the outage, no more waits"
    begun = len(key.sent)
    while key.waiting:
        key.send("arrives")
    assert key.believed == key.truth
    assert len(key.sent) - begun <= 3
    ids = [one.id for one in key.sent]
    assert ids == sorted(ids), "nothing is said before what was to be said before it"
