"""`templates:` of all files, compiled in the order in which they use each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from alertbridge.config.document import Document
from alertbridge.config.templates import TemplateReader
from alertbridge.config.values import TEMPLATE_NAME
from alertbridge.errors import Problem
from alertbridge.rules.lookup import Columns
from alertbridge.rules.references import TEMPLATES
from alertbridge.rules.severity import SeverityWords
from alertbridge.rules.template import Template, Vocabulary, templates_in

# In place of one with a mistake, so that only the mistake itself is reported.
_STAND_IN = Template("", "")


class _Written(NamedTuple):
    document: Document
    text: str


class NamedTemplates:
    """Compiles the named templates of the documents into a `vocabulary`, and collects their `problems`."""

    def __init__(self, documents: Iterable[Document], *, severities: SeverityWords, columns: Columns) -> None:
        self.problems: list[Problem] = []
        self._written: dict[str, _Written] = {}
        for document in documents:
            self._gather(document)
        compiled: dict[str, Template] = dict.fromkeys(self._written, _STAND_IN)
        self.vocabulary = Vocabulary(compiled, severities, columns)
        readers: dict[str, TemplateReader] = {}
        uses = {name: templates_in(one.text) & self._written.keys() for name, one in self._written.items()}
        circular = self._cut_circles(uses)
        for name in TopologicalSorter(uses).static_order():
            document, text = self._written[name]
            reader = readers.setdefault(document.file, TemplateReader(document, self.vocabulary))
            template = None if name in circular else reader.read((TEMPLATES, name), text)
            if template is not None:
                compiled[name] = template
        for reader in readers.values():
            self.problems += reader.problems

    def unused(self, used: Iterable[str]) -> Iterator[Problem]:
        """A warning for each that neither those `used` by rules nor what these use names."""
        reached: set[str] = set()
        waiting = [*used]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.vocabulary.templates[name].uses
        for name, (document, _) in self._written.items():
            if name not in reached:
                yield document.problem(
                    (TEMPLATES, name),
                    f"no rule uses the template {name}",
                    f"write {{{{ {TEMPLATES}.{name} }}}} where it is meant, or remove it",
                    key=True,
                    level="warning",
                )

    def _gather(self, document: Document) -> None:
        section = document.data.get(TEMPLATES)
        for name, text in section.items() if isinstance(section, dict) else ():
            if not TEMPLATE_NAME.fullmatch(name) or not isinstance(text, str) or not text.strip():
                continue  # the settings say what is wrong with it
            first = self._written.get(name)
            if first is None:
                self._written[name] = _Written(document, text)
                continue
            line = first.document.place((TEMPLATES, name), key=True).line
            problem = f"a template of this name stands already at {first.document.file}:{line}"
            self.problems.append(
                document.problem((TEMPLATES, name), problem, "rename one of the two", key=True)
            )

    def _cut_circles(self, uses: dict[str, frozenset[str]]) -> set[str]:
        """Report templates that use themselves, and forget what these use; their names."""
        circular: set[str] = set()
        while True:
            try:
                TopologicalSorter(uses).prepare()
            except CycleError as error:
                circle = [*reversed(error.args[1])][1:]  # each uses the next, and the last the first
                self._report_circle(circle)
                circular.update(circle)
                uses.update(dict.fromkeys(circle, frozenset()))
            else:
                return circular

    def _report_circle(self, circle: list[str]) -> None:
        first = min(circle, key=list(self._written).index)
        start = circle.index(first)
        others = [f"{TEMPLATES}.{name}" for name in circle[start + 1 :] + circle[:start]]
        way = f" by way of {', '.join(others)}" if others else ""
        document, text = self._written[first]
        target = circle[(start + 1) % len(circle)]
        self.problems.append(
            document.problem(
                (TEMPLATES, first),
                f"the template uses itself{way}",
                "take one of these uses out",
                offset=max(0, text.find(target, text.find(TEMPLATES))),
            )
        )
