"""`storage:`, the database that everything accepted is kept in."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from alertbridge.config.refuse import refused
from alertbridge.config.section import Section
from alertbridge.config.units import Size
from alertbridge.config.values import Count, Span, Text, one_of

_DATABASE: Final = re.compile(r"sqlite:///(?P<path>[^?#]+)")


class RetentionSettings(Section):
    """How long what is finished is kept."""

    events: Span = Field(timedelta(days=3), description="Request bodies.", examples=["3d"])
    deliveries: Span = Field(
        timedelta(days=30), description="Closed incidents and finished deliveries.", examples=["30d"]
    )


def _database(value: str) -> str:
    remedy = "write sqlite:////absolute/path.db"
    if value.startswith(("postgresql:", "postgresql+", "postgres:")):
        raise refused("PostgreSQL is not supported yet by this version", remedy)
    found = _DATABASE.fullmatch(value)
    if found is None:
        raise refused("this is not the URL of a database", remedy)
    if found["path"] == ":memory:":
        raise refused("a database in memory would lose what was accepted", remedy)
    return value


class InboxSettings(Section):
    """How much may wait to be decided. Beyond it webhooks are answered with 503, until four fifths of it are left."""

    events: Count = Field(100_000, description="Request bodies that are not decided yet.", examples=[100_000])
    bytes: Size = Field(
        256 * 2**20,
        description="Their size; and that of the bodies that are being received.",
        examples=["256MiB"],
    )


class StorageSettings(Section):
    """The database that everything accepted is kept in."""

    url: Annotated[Text, AfterValidator(_database)] = Field(
        "sqlite:////var/lib/alertbridge/alertbridge.db",
        description="Where it is: four slashes begin an absolute path, three a relative one, which lies in `$STATE_DIRECTORY` when set, else in the working directory.",
        examples=["sqlite:////var/lib/alertbridge/alertbridge.db", "sqlite:///alertbridge.db"],
    )
    retention: RetentionSettings = Field(
        default_factory=RetentionSettings,
        description="How long what is finished is kept.",
        examples=[{"events": "3d", "deliveries": "30d"}],
    )
    min_free: Size = Field(
        256 * 2**20,
        description="Free space of the database's filesystem that is kept to finish what was accepted, beside what the undecided events need: with less, webhooks are answered with 503.",
        examples=["256MiB"],
    )
    inbox: InboxSettings = Field(
        default_factory=InboxSettings,
        description="How much may wait to be decided.",
        examples=[{"events": 100_000, "bytes": "256MiB"}],
    )
    on_corruption: Annotated[
        Literal["refuse", "start_fresh"],
        BeforeValidator(one_of({word: word for word in ("refuse", "start_fresh")})),
    ] = Field(
        "refuse",
        description="What a start does with a damaged database: `refuse` ends with what is wrong and what to do, and leaves it as it is; `start_fresh` moves it to `<name>.corrupt-<instant>` and begins with an empty one, which knows of no open incident.",
        examples=["refuse", "start_fresh"],
    )
