from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertbridge.deployments.choose import Policy, Sought, choose, filling
from alertbridge.deployments.deployment import Deployment, Status

OPENED = datetime(2026, 1, 5, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy(frozenset({"production", "live"}), timedelta(days=7))
CHECKOUT = "https://github.com/acme/checkout"
PAYMENTS = "https://github.com/acme/payments"
GOOD = Deployment(
    id="4711",
    environment="production",
    status=Status.SUCCESS,
    said_at=OPENED - MINUTE,
    service="checkout",
    repo_url=CHECKOUT,
    pr_number="44",
    finished_at=OPENED - MINUTE,
)
SOUGHT = Sought(OPENED, service="checkout", repo_url=CHECKOUT)


@pytest.mark.parametrize(
    ("deployment", "sought"),
    [
        pytest.param(GOOD, SOUGHT, id="the same service and repository"),
        pytest.param(replace(GOOD, environment="Production"), SOUGHT, id="an environment in another case"),
        pytest.param(replace(GOOD, environment="live"), SOUGHT, id="another name of production"),
        pytest.param(replace(GOOD, service=""), SOUGHT, id="told by repository only"),
        pytest.param(replace(GOOD, repo_url=""), SOUGHT, id="told by service only"),
        pytest.param(GOOD, replace(SOUGHT, service=""), id="an incident that knows its repository only"),
        pytest.param(GOOD, replace(SOUGHT, repo_url=""), id="an incident that knows its service only"),
        pytest.param(
            GOOD,
            replace(SOUGHT, repo_url="https://github.com/Acme/Checkout"),
            id="a repository in another case",
        ),
        pytest.param(GOOD, replace(SOUGHT, pr_number="44"), id="the same pull request"),
        pytest.param(replace(GOOD, finished_at=OPENED - timedelta(days=7)), SOUGHT, id="just young enough"),
        pytest.param(
            replace(GOOD, finished_at=OPENED - timedelta(microseconds=1)),
            SOUGHT,
            id="just before the incident",
        ),
    ],
)
def test_an_incident_is_laid_to(deployment: Deployment, sought: Sought) -> None:
    assert choose([deployment], sought, POLICY) == deployment


@pytest.mark.parametrize(
    ("deployment", "sought"),
    [
        pytest.param(replace(GOOD, status=Status.FAILED), SOUGHT, id="a failed one"),
        pytest.param(replace(GOOD, status=Status.CANCELED), SOUGHT, id="a canceled one"),
        pytest.param(replace(GOOD, status=Status.STARTED, finished_at=None), SOUGHT, id="one under way"),
        pytest.param(replace(GOOD, environment="staging"), SOUGHT, id="one to staging"),
        pytest.param(replace(GOOD, environment="production-eu"), SOUGHT, id="a name that only begins so"),
        pytest.param(
            replace(GOOD, finished_at=OPENED), SOUGHT, id="one that finished as the incident opened"
        ),
        pytest.param(replace(GOOD, finished_at=OPENED + MINUTE), SOUGHT, id="one that finished after it"),
        pytest.param(
            replace(GOOD, finished_at=OPENED - timedelta(days=7, seconds=1)), SOUGHT, id="an old one"
        ),
        pytest.param(replace(GOOD, service="payments"), SOUGHT, id="another service of one repository"),
        pytest.param(replace(GOOD, repo_url=PAYMENTS), SOUGHT, id="another repository of one service"),
        pytest.param(GOOD, Sought(OPENED), id="an incident that names neither"),
        pytest.param(
            GOOD, replace(SOUGHT, pr_number="45"), id="another pull request than the incident names"
        ),
        pytest.param(
            replace(GOOD, service=""), replace(SOUGHT, repo_url=""), id="nothing that both of them name"
        ),
    ],
)
def test_an_incident_is_not_laid_to(deployment: Deployment, sought: Sought) -> None:
    assert choose([deployment], sought, POLICY) is None


def test_the_latest_to_finish_is_to_blame_also_where_it_knows_no_pull_request() -> None:
    before = replace(GOOD, id="4710", finished_at=OPENED - 2 * MINUTE)
    unknowing = replace(GOOD, pr_number="")

    assert choose([before, unknowing], SOUGHT, POLICY) == unknowing
    assert filling(unknowing, ("repo_url", "pr_number")) == {"repo_url": CHECKOUT}


def test_only_what_is_missing_is_filled_in() -> None:
    assert filling(GOOD, ("pr_number", "resolution_time")) == {"pr_number": "44"}
    assert filling(GOOD, ()) == {}


DEPLOYMENTS = st.builds(
    Deployment,
    id=st.text("abc", min_size=1, max_size=3),
    environment=st.sampled_from(["production", "LIVE", "staging"]),
    status=st.sampled_from(Status),
    said_at=st.just(OPENED),
    service=st.sampled_from(["", "checkout", "payments"]),
    repo_url=st.sampled_from(["", CHECKOUT, PAYMENTS]),
    pr_number=st.sampled_from(["", "44", "45"]),
    finished_at=st.one_of(
        st.none(), st.integers(-12 * 24 * 60, 60).map(lambda minutes: OPENED + minutes * MINUTE)
    ),
)
INCIDENTS = st.builds(
    Sought,
    st.just(OPENED),
    service=st.sampled_from(["", "checkout", "payments"]),
    repo_url=st.sampled_from(["", CHECKOUT, PAYMENTS]),
    pr_number=st.sampled_from(["", "44"]),
)


@given(st.lists(DEPLOYMENTS, max_size=8), INCIDENTS)
def test_whoever_is_chosen_could_have_done_it_and_nobody_later_could(
    told: list[Deployment], sought: Sought
) -> None:
    chosen = choose(told, sought, POLICY)
    alone = [one for one in told if choose([one], sought, POLICY)]

    assert (chosen is None) == (not alone)
    if chosen is not None:
        assert chosen.status is Status.SUCCESS
        assert chosen.environment.lower() in POLICY.production
        assert chosen.finished_at is not None
        assert OPENED - POLICY.max_age <= chosen.finished_at < OPENED
        assert (chosen.service and chosen.service == sought.service) or (
            chosen.repo_url and chosen.repo_url == sought.repo_url
        )
        for name in ("service", "repo_url", "pr_number"):
            assert (
                not getattr(chosen, name)
                or not getattr(sought, name)
                or (getattr(chosen, name) == getattr(sought, name))
            )
        assert all(one.finished_at <= chosen.finished_at for one in alone if one.finished_at)


@given(
    st.lists(DEPLOYMENTS, max_size=6).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))),
    INCIDENTS,
)
def test_the_order_in_which_they_were_told_does_not_matter(
    orders: tuple[list[Deployment], list[Deployment]], sought: Sought
) -> None:
    one, other = (choose(order, sought, POLICY) for order in orders)

    assert (one and (one.finished_at, one.id)) == (other and (other.finished_at, other.id))
