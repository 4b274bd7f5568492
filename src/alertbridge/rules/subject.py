"""One alert as templates see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alertbridge.model import Alert, instant
from alertbridge.rules.lookup import Lookup, Table
from alertbridge.rules.template import Template


class Subject:
    """An alert, the service it concerns, and the names templates may use, made when the first one needs them."""

    __slots__ = ("_context", "_service", "_tables", "alert")

    def __init__(self, alert: Alert, tables: Mapping[str, Table]) -> None:
        self.alert = alert
        self._tables = tables
        self._service = ""
        self._context: dict[str, object] | None = None

    @property
    def service(self) -> str:
        """The service concerned; empty until a rule has said which."""
        return self._service

    @service.setter
    def service(self, name: str) -> None:
        self._service = name
        if self._context is not None:
            self._context["service"] = name

    def having(
        self, *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
    ) -> Subject:
        """The same alert with these labels or annotations instead of its own; its service is not said yet."""
        return Subject(
            replace(
                self.alert,
                labels=self.alert.labels if labels is None else labels,
                annotations=self.alert.annotations if annotations is None else annotations,
            ),
            self._tables,
        )

    def text(self, template: Template) -> str:
        """What the template gives for this alert; raises RenderingFailed."""
        if template.literal is not None:
            return template.literal
        if self._context is None:
            self._context = self._names()
        return template.render(self._context)

    def _names(self) -> dict[str, object]:
        alert = self.alert
        return {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "source": alert.source,
            "fingerprint": alert.fingerprint,
            "status": alert.status.value,
            "starts_at": instant(alert.starts_at),
            "ends_at": "" if alert.ends_at is None else instant(alert.ends_at),
            "generator_url": alert.generator_url,
            "service": self._service,
            "group": alert.group,
            "external_url": alert.external_url,
            "lookup": Lookup(self._tables, alert.labels),
        }
