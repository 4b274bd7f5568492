"""What an HTTP answer means for a delivery, the same for every destination."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import timedelta
from urllib.parse import quote, urlsplit

from alertbridge.destinations.quota import retry_after, used_up
from alertbridge.model import Delivered, Outcome, Paused, Rejected, Response, Retry

_PASSING = (408, 425)  # of the 4xx, those that blame the moment and not the message
_EXCERPT = 200
_READ_FOR_ID = 16_384
_LONGEST_ID = 255
# A date that has passed only because the clocks differ would otherwise become a busy loop.
_SHORTEST_PAUSE = timedelta(seconds=1)

_INCIDENT_ID = re.compile(
    r'"incident_id"\s*:\s*(?:"(?P<text>[^"\\\x00-\x1f]{0,1000})"|(?P<number>-?[0-9]{1,40}))'
)


def interpret(response: Response, *, secrets: Iterable[str] = ()) -> Outcome:
    """The outcome that `response` stands for; `secrets` that the destination echoes are shown as `***`."""
    status = response.status
    said = f"HTTP {status}: {excerpt(response.body, secrets=secrets)}".removesuffix(": ")
    after = _pause(response)
    outcome: Outcome
    match status // 100, status:
        case 2, _:
            outcome = Delivered(reference(response.body))
        case 3, _:
            outcome = Paused("redirected", _redirection(response))
        case _, 401:
            outcome = Paused("unauthorized", f"{said}; check the secret and how it is sent")
        case _, 403:
            outcome = Paused("forbidden", f"{said}; check the secret and which addresses the vendor lets in")
        case _, 429:
            outcome = Paused("rate_limited", said, after or used_up(response))
        case _, 503 if after is not None:
            outcome = Paused("unavailable", said, after)
        case 4, _ if status not in _PASSING:
            outcome = Rejected(said)
        case _:
            outcome = Retry(said)
    return outcome


def excerpt(body: bytes, *, secrets: Iterable[str] = ()) -> str:
    """The beginning of `body` on one line of at most 200 characters, without the `secrets`."""
    line = " ".join(redact(body.decode("utf-8", "replace"), secrets).split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with `***` for each of the `secrets`, also where they are escaped as in JSON or in a URL."""
    forms = {
        form for secret in secrets for form in (secret, secret.replace("/", "\\/"), quote(secret, safe=""))
    }
    for form in sorted(forms - {""}, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def reference(body: bytes) -> str:
    """The `incident_id` in an answer, JSON or nearly so; the empty text if there is none."""
    text = body[:_READ_FOR_ID].decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # the vendor's own sample is not valid JSON
        found = _INCIDENT_ID.search(text)
        value = (found["text"] or found["number"]) if found else None
    else:
        value = answer.get("incident_id") if isinstance(answer, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return "".join(character for character in str(value).strip() if character.isprintable())[:_LONGEST_ID]


def _pause(response: Response) -> timedelta | None:
    asked = retry_after(response)
    return None if asked is None else max(asked, _SHORTEST_PAUSE)


def _redirection(response: Response) -> str:
    """Where it points, host only: the rest of the address may repeat a secret."""
    try:
        target = urlsplit(response.headers.get("location", ""))
        place = f" to {target.scheme}://{target.hostname}" if target.scheme and target.hostname else ""
    except ValueError:
        place = ""
    return f"HTTP {response.status}{place}: redirects are never followed; correct the configured URL"
