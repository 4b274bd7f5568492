"""From settings to parts: what each section of the configuration stands for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from alertbridge.clock import Clock
from alertbridge.config.destination_settings import DestinationSettings, ElvenSettings, HivelSettings
from alertbridge.config.load import Configuration
from alertbridge.config.reconcile_settings import PeerAuthSettings, ReconcileSettings
from alertbridge.config.settings import Settings
from alertbridge.config.source_settings import AuthSettings
from alertbridge.config.storage_settings import StorageSettings
from alertbridge.deliver.attribution import Attribution
from alertbridge.deliver.budget import RateLimit
from alertbridge.deliver.courier import Courier, Policy
from alertbridge.deliver.digester import Digester
from alertbridge.deliver.telling import Forward, Present
from alertbridge.deliver.transport import Route, Transport
from alertbridge.deployments.choose import Policy as AttributionPolicy
from alertbridge.deployments.forges import Forge, github, gitlab
from alertbridge.destinations import Destination
from alertbridge.destinations.change import repository_url
from alertbridge.destinations.elven import DESCRIPTION_LIMIT, Elven
from alertbridge.destinations.hivel import Hivel
from alertbridge.heartbeats.pinger import Ping
from alertbridge.incidents.digest import Overflow
from alertbridge.metrics import Metrics
from alertbridge.model import Secret
from alertbridge.operate.checkups import Line
from alertbridge.pipeline import Bridge, Feed
from alertbridge.receive.authentication import Authentication, Basic, Bearer, Hmac
from alertbridge.receive.deployments import Doors
from alertbridge.receive.intake import Glance, Intake, Limits
from alertbridge.receive.routes import Endpoint
from alertbridge.reconcile.judge import Suppressed
from alertbridge.reconcile.peers import Access, Peers
from alertbridge.reconcile.reconciler import Pace, Reconciler
from alertbridge.sources.alertmanager import Alertmanager
from alertbridge.store.store import Store


def bridge(configuration: Configuration) -> Bridge:
    """What deciding needs of a configuration."""
    settings = configuration.settings
    return Bridge(
        feeds={name: Feed(Alertmanager(), one.stale_window) for name, one in settings.sources.items()},
        rulebook=configuration.rulebook,
        rule_set=configuration.rule_set,
        destinations={name: destination(name, one) for name, one in settings.destinations.items()},
        collapsing=frozenset(name for name, one in settings.destinations.items() if one.collapse),
        attribution=attribution(settings),
    )


def attribution(settings: Settings) -> Attribution:
    """Which deployments count, and the repository of each service that has one."""
    said = settings.deployments
    repositories = {name: repository_url(one.repo_url) for name, one in settings.services.items()}
    return Attribution(
        policy=AttributionPolicy(frozenset(name.lower() for name in said.production), said.max_age),
        catalogue={name: repository for name, repository in repositories.items() if repository},
    )


def present(bridge: Bridge, settings: Settings) -> Present:
    """What is done with deployments now."""
    forward, name = None, settings.deployments.forward
    if name is not None and isinstance(hivel := settings.destinations.get(name), HivelSettings):
        forward = Forward(name, hivel.canceled, waits=bool(forges(settings)))
    return Present(bridge.attribution, bridge.destinations, bridge.rulebook.hash, forward)


def doors(settings: Settings) -> Doors:
    """Who may tell of deployments."""
    said = settings.deployments
    return Doors(
        authentication=_authentication(said.auth) if said.auth else None,
        github=said.github.secret if said.github else None,
        gitlab=said.gitlab.token if said.gitlab else None,
        merges_deploy_to=said.merges_deploy_to,
    )


def forges(settings: Settings) -> tuple[Forge, ...]:
    """Who is asked for the pull request of a commit."""
    said = settings.deployments.resolve
    found = []
    if (hub := said.github) is not None:
        found.append(Forge("github", hub.web_url, hub.base_url, hub.token, github))
    if (lab := said.gitlab) is not None:
        found.append(Forge("gitlab", lab.web_url or lab.base_url, lab.base_url, lab.token, gitlab))
    return tuple(found)


def endpoints(settings: Settings) -> dict[str, Endpoint]:
    """What receiving needs of every source."""
    return {
        name: Endpoint(
            name=name,
            parser=Alertmanager(),
            authentication=_authentication(one.auth) if one.auth else None,
            allow_from=tuple(one.allow_from),
        )
        for name, one in settings.sources.items()
    }


def intake(settings: StorageSettings, *, free: Callable[[], int], clock: Clock, metrics: Metrics) -> Intake:
    """What says whether there is room for new work; `free` measures what the database's filesystem has left."""
    return Intake(
        limits=Limits(settings.inbox.events, settings.inbox.bytes, settings.min_free),
        free=Glance(measure=free, clock=clock),
        clock=clock,
        metrics=metrics,
    )


def destination(name: str, settings: DestinationSettings) -> Destination:
    """The API that a section of `destinations:` names."""
    match settings:
        case ElvenSettings():
            return Elven(name=name, url=settings.url, extra_fields=settings.extra_fields)
        case HivelSettings():
            return Hivel(
                name=name,
                base_url=settings.base_url,
                path=settings.path,
                token=settings.token,
                auth_header=settings.auth_header,
                severities=settings.severities,
                keep_git_suffix=settings.keep_git_suffix,
                inferred_in=settings.inferred_in,
                deployment_path=settings.deployment_path,
            )


def longest_look_back(settings: Settings) -> timedelta:
    """How far back any rate limit or key interval counts attempts."""
    spans = [one.key_interval for one in settings.destinations.values()]
    spans += [one.rate_limit.per for one in settings.destinations.values() if one.rate_limit]
    return max(spans, default=timedelta(0))


def pings(settings: Settings) -> dict[str, Ping]:
    """Whom to tell that deliveries work."""
    return {
        name: Ping(one.url, one.every, one.destinations, one.max_wait, one.timeout, one.proxy)
        for name, one in settings.pings.items()
    }


def expected_repeats(settings: Settings, *, resolved: bool = False) -> dict[str, timedelta]:
    """For the sources with an `expect_repeat` how long it is; with `resolved` only where stale alerts are resolved."""
    return {
        name: one.expect_repeat
        for name, one in settings.sources.items()
        if one.expect_repeat is not None and (one.stale_alerts == "resolve" or not resolved)
    }


def reconcilers(
    settings: Settings,
    sources: Iterable[str],
    *,
    store: Store,
    clock: Clock,
    metrics: Metrics,
    new_id: Callable[[], str],
    concluded: Callable[[], None],
) -> dict[str, Reconciler]:
    """The loops that ask the peers, for those of `sources` that name any."""
    wanted = {name: settings.sources[name].reconcile for name in sources}
    return {
        name: Reconciler(
            source=name,
            pace=Pace(one.every, one.absent_for, Suppressed(one.suppressed)),
            peers=Peers(access=_access(one), grace=one.grace, clock=clock),
            store=store,
            clock=clock,
            metrics=metrics,
            new_id=new_id,
            concluded=concluded,
        )
        for name, one in wanted.items()
        if one is not None
    }


def courier(
    name: str,
    settings: DestinationSettings,
    *,
    store: Store,
    transport: type[Transport],
    clock: Clock,
    metrics: Metrics,
    chance: Callable[[], float],
    clean: Callable[[str], str],
    new_id: Callable[[], str],
) -> Courier:
    """The loop that sends to one destination, with its own connections."""
    limit = settings.rate_limit
    policy = Policy(
        timeout=settings.timeout,
        max_age=settings.max_age,
        concurrency=settings.concurrency,
        rate_limit=RateLimit(limit.requests, limit.per, limit.most_at_once) if limit else None,
        key_interval=settings.key_interval,
        reject_limit=settings.reject_limit,
        probe_interval=settings.probe_interval,
        failure_limit=settings.failure_limit,
        hold_for=settings.hold_for if isinstance(settings, HivelSettings) else None,
        landing_time=settings.landing_time if isinstance(settings, ElvenSettings) else timedelta(0),
        collapse=settings.collapse,
    )
    return Courier(
        destination=destination(name, settings),
        policy=policy,
        store=store,
        transport=transport(route=_route(settings), clock=clock),
        clock=clock,
        metrics=metrics,
        chance=chance,
        clean=clean,
        digester=_digester(name, settings, new_id=new_id) if isinstance(settings, ElvenSettings) else None,
    )


def _digester(name: str, settings: ElvenSettings, *, new_id: Callable[[], str]) -> Digester:
    overflow = Overflow(settings.digest_after, settings.digest_severity, DESCRIPTION_LIMIT)
    return Digester(
        destination=destination(name, settings),
        overflow=overflow if settings.overflow == "digest" else None,
        collapse=settings.collapse,
        new_id=new_id,
    )


def line(name: str, settings: DestinationSettings, *, clock: Clock) -> Line:
    """A way to one destination beside its courier's."""
    return Line(destination(name, settings), Transport(route=_route(settings), clock=clock))


def _route(settings: DestinationSettings) -> Route:
    return Route(
        timeout=settings.timeout,
        proxy=settings.proxy.reveal() if settings.proxy else None,
        source_address=settings.source_address,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
        connections=settings.concurrency,
    )


def _authentication(settings: AuthSettings) -> Authentication:
    if settings.basic is not None:
        return Basic(settings.basic.username, settings.basic.password)
    if settings.hmac is not None:
        return Hmac(settings.hmac.header, settings.hmac.secret)
    assert settings.bearer_token is not None, "exactly one way is given"
    return Bearer(settings.bearer_token)


def _access(settings: ReconcileSettings) -> Access:
    return Access(
        urls=settings.urls,
        timeout=settings.timeout,
        authorization=_authorization(settings.auth) if settings.auth else None,
        ca_file=Path(settings.ca_file) if settings.ca_file else None,
    )


def _authorization(settings: PeerAuthSettings) -> Secret:
    """What stands in the header `Authorization`."""
    if settings.basic is not None:
        pair = f"{settings.basic.username}:{settings.basic.password.reveal()}"
        return Secret(f"Basic {b64encode(pair.encode()).decode()}")
    assert settings.bearer_token is not None, "exactly one way is given"
    return Secret(f"Bearer {settings.bearer_token.reveal()}")
