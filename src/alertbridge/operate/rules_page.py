"""`GET /api/v1/rules`: the sets of rules that were ever loaded, and what each of them says."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from alertbridge.operate import query
from alertbridge.operate.answers import listed, refusal, said, unknown
from alertbridge.operate.guard import Guard
from alertbridge.operate.query import BadQuery
from alertbridge.problems import problem
from alertbridge.store import rule_sets
from alertbridge.store.store import Store


class RulesPage:
    """Answers with the sets that are kept; `in_use` says the hash of the one that decides now."""

    def __init__(self, *, store: Store, in_use: Callable[[], str], guard: Guard) -> None:
        self._store = store
        self._in_use = in_use
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """What to serve."""
        return [
            web.get("/api/v1/rules", self._guard.wrap(self._list)),
            web.get("/api/v1/rules/{hash}", self._guard.wrap(self._show)),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            wanted = query.read_query(query.RULES, request.query)
        except BadQuery as error:
            return refusal(error)
        in_use = self._in_use()
        page = await self._store.read(
            lambda connection: rule_sets.list_rule_sets(connection, wanted, in_use=in_use)
        )
        return listed(query.RULES, page)

    async def _show(self, request: web.Request) -> web.Response:
        beginning, in_use = request.match_info["hash"].lower(), self._in_use()
        found = await self._store.read(
            lambda connection: rule_sets.find_rule_sets(connection, beginning, in_use=in_use)
        )
        if not found:
            return unknown(query.RULES, beginning)
        if len(found) > 1:
            detail = f'more than one begins with "{beginning}"; say more of the hash'
            return problem(409, "Ambiguous", detail, matches=[each["hash"] for each in found])
        return said(found[0])
