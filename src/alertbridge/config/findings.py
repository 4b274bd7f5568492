"""The mistakes found so far, in the order in which an operator reads the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from alertbridge.config.secrets import Redactor
from alertbridge.errors import Problem
from alertbridge.model import Secret


class Findings:
    """Collects Problems over several files and steps."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._files: list[str] = []
        self._unreadable: set[tuple[str, str]] = set()
        self.hidden: tuple[Secret, ...] = ()
        self._redactor = Redactor(())

    def hide(self, secrets: Iterable[Secret]) -> None:
        """Show no trace of these in any Problem: one may stand where it does not belong, and be part of a sentence."""
        self.hidden = tuple(secrets)
        self._redactor.learn(self.hidden)

    def read(self, file: str, problems: Iterable[Problem]) -> None:
        """Take what reading `file` found. What later steps say of the same settings would be noise."""
        self._files.append(file)
        for problem in problems:
            self._problems.append(problem)
            if problem.field:
                self._unreadable.add((problem.file, problem.field))

    def add(self, problems: Iterable[Problem]) -> None:
        """Take what a later step found."""
        for problem in problems:
            if (problem.file, problem.field) not in self._unreadable:
                self._problems.append(problem)

    def all(self) -> tuple[Problem, ...]:
        """Every mistake once, by file in the order of reading, then by place."""
        return self.ordered(self._problems)

    def ordered(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Some problems, each once, in the same order."""
        order = {file: index for index, file in reversed(list(enumerate(self._files)))}
        return tuple(
            sorted(
                dict.fromkeys(map(self._cleaned, problems)),
                key=lambda problem: (order.get(problem.file, 0), problem.line, problem.column),
            )
        )

    def _cleaned(self, problem: Problem) -> Problem:
        clean = self._redactor.clean
        return replace(
            problem,
            field=clean(problem.field),
            problem=clean(problem.problem),
            remedy=clean(problem.remedy),
        )
