"""Templates out of a document, with what is wrong in them at its place."""

from __future__ import annotations

from alertbridge.config.document import Data, Document, Path
from alertbridge.config.refuse import kind
from alertbridge.errors import Problem, RefusedText, TemplateError
from alertbridge.rules.template import CONTENT_NAMES, Template, Vocabulary


class TemplateReader:
    """Compiles the texts of one document and collects its `problems` and the named templates `used`."""

    def __init__(self, document: Document, vocabulary: Vocabulary) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.used: set[str] = set()
        self._vocabulary = vocabulary
        self._compiled: dict[tuple[str, frozenset[str]], Template] = {}  # many rules say the same

    def read(self, path: Path, data: Data, *, names: frozenset[str] = CONTENT_NAMES) -> Template | None:
        """The template at `path`; None if it is no good. A number is taken as it is written: `1.10` stays so."""
        if isinstance(data, bool | int | float):
            data = self.document.spelling(path) or str(data)
        if not isinstance(data, str):
            advice = "remove the line" if data is None else "write one piece of text"
            self.refuse(path, f"expected text, got {kind(data)}", advice)
            return None
        template = self._compiled.get((data, names))
        if template is None:
            try:
                template = Template.compile(data, names=names, vocabulary=self._vocabulary)
            except TemplateError as error:
                self.refuse_text(path, error)
                return None
            self._compiled[data, names] = template
            self.used |= template.uses.keys()
        return template

    def refuse(self, path: Path, problem: str, remedy: str, *, key: bool = False) -> None:
        """Note a mistake."""
        self.problems.append(self.document.problem(path, problem, remedy, key=key))

    def refuse_text(self, path: Path, error: RefusedText) -> None:
        """Note what is wrong inside a text."""
        remedy = error.remedy or "correct the text"
        self.problems.append(
            self.document.problem(path, error.problem.rstrip("."), remedy, offset=error.offset)
        )
