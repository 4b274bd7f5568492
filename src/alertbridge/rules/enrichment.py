"""`set` of a rule: labels and annotations that later rules, and what is sent, see of an alert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from alertbridge.errors import RenderingFailed
from alertbridge.rules.subject import Subject
from alertbridge.rules.template import Template

# Takes the field, such as `set.labels.team`, and what is wrong with its template.
Fail = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is set, by name; what renders empty is removed."""

    labels: Mapping[str, Template]
    annotations: Mapping[str, Template]

    def applied(self, subject: Subject, *, service: Callable[[Subject], str], fail: Fail) -> Subject:
        """The subject with all that is set; a template that fails leaves its label or annotation as it was.

        The labels are made of the alert as it came; the annotations see them. `service` says which one is concerned.
        """
        if self.labels:
            subject.service = service(subject)
            labels = _set("labels", subject.alert.labels, self.labels, subject, fail)
            subject = subject.having(labels=labels)
        if self.annotations:
            subject.service = service(subject)
            annotations = _set("annotations", subject.alert.annotations, self.annotations, subject, fail)
            subject = subject.having(annotations=annotations)
        return subject


def _set(
    where: str, held: Mapping[str, str], templates: Mapping[str, Template], subject: Subject, fail: Fail
) -> dict[str, str]:
    values = dict(held)
    for name, template in templates.items():
        try:
            values[name] = subject.text(template)
        except RenderingFailed as error:
            fail(f"set.{where}.{name}", str(error))
    return {name: value for name, value in values.items() if value or name not in templates}
