"""What a plan's steps do to the world, and how a run goes from chaos to calm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

from tests.simulation import laws
from tests.simulation.plan import WATCHDOG, Step
from tests.simulation.world import World

_CALM = 3600.0  # seconds in which everything must have come to rest
_LOOK = 7.0


async def live(world: World) -> None:
    """Chaos, then calm: all faults end, and so does everything that was wrong."""
    world.begin()
    if WATCHDOG in world.source.alerts:
        world.source.fire(WATCHDOG)
    peers = [asyncio.ensure_future(world.source.run(peer)) for peer in (0, 1)]
    watching = asyncio.ensure_future(_watch(world))
    happening = [asyncio.ensure_future(_happen(world, step)) for step in world.plan.steps]
    await asyncio.sleep(world.plan.chaos)
    world.tell("world", "is calm from here on")
    await _calm(world)
    await asyncio.gather(*happening)
    await _settled(world, "with some alerts firing")
    if lost := world.source.lost():
        for name in lost:
            world.source.fire(name)
        await _settled(world, "with those firing again whose end was lost")
    laws.check_truth(world)
    for name in world.source.alerts:
        if name != WATCHDOG:
            world.source.resolve(name)
    await _settled(world, "with no alert firing")
    laws.check_truth(world)
    await laws.check_end(world)
    for task in (*peers, watching):
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*peers, watching, return_exceptions=True)


async def _happen(world: World, step: Step) -> None:
    """One step, from its instant to the end of its span or of the chaos."""
    await asyncio.sleep(step.at)
    end = min(step.at + step.span, world.plan.chaos)

    async def pass_by() -> None:
        await asyncio.sleep(max(0.0, end - world.now()))

    what = step.what.partition(" ")[0]
    if what in {"fire", "resolve"}:
        (world.source.fire if what == "fire" else world.source.resolve)(step.whom)
        return
    world.tell("world", str(step).strip())
    if what in {"crash", "stop"}:
        await _end_a_life(world, step)
    elif what in {"retry", "discard", "complete"}:
        await _amend(world, what)
    elif what == "close":
        await _close(world, Random(f"{world.plan.seed}/{step.at}"))
    elif what == "replay":
        since = world.life.clock.now() - timedelta(seconds=step.span)
        await world.operate("POST", "/api/v1/replay", {"since": since.isoformat()})
    elif what == "clock":
        by = timedelta(seconds=float(step.whom))
        if step.what == "clock":
            world.set_clock(by)
        else:
            world.leap = by
    else:
        await _befall(world, step, pass_by)


async def _end_a_life(world: World, step: Step) -> None:
    match step.what:
        case "crash":
            world.kill(step.span)
        case "crash at":
            world.arm(step.whom, Random(f"{world.plan.seed}/{step.at}").randint(0, 8), step.span)
        case _:
            await world.stop(step.span)


async def _befall(world: World, step: Step, pass_by: Callable[[], Awaitable[None]]) -> None:
    """What begins and ends."""
    match step.what.split():
        case ["weather", weather]:
            world.vendors[step.whom].weather = weather
            await pass_by()
            world.vendors[step.whom].weather = "fair"
        case ["full" | "read-only" | "stalling" as fault]:
            world.disk(fault)
            await pass_by()
            world.disk("")
        case ["low"]:
            world.run_low(low=True)
            await pass_by()
            world.run_low(low=False)
        case ["cut"]:
            world.cut = True
            await pass_by()
            world.cut = False
        case ["part"]:
            world.source.parted = True
            await pass_by()
            world.source.rejoin()
        case ["rotate"]:
            await _rotate(world, step.whom, pass_by)
        case ["pause"]:
            await _pause(world, step.whom, pass_by)
        case _:
            world.main = 1 - world.main
            world.write_main()
            await _reload(world)


async def _rotate(world: World, name: str, pass_by: Callable[[], Awaitable[None]]) -> None:
    vendor = world.vendors[name]
    generation = int(vendor.token.split("-")[2]) + 1
    vendor.token = f"{name}-token-{generation}-{world.random.randrange(10**8):08}"
    await pass_by()
    world.write_secret(name)
    await _reload(world)


async def _reload(world: World) -> None:
    for vendor in world.vendors.values():
        vendor.pauses.clear()
    await world.insist("POST", "/-/reload")


async def _pause(world: World, name: str, pass_by: Callable[[], Awaitable[None]]) -> None:
    path = f"/api/v1/destinations/{name}"
    await world.insist("POST", f"{path}/pause", {"reason": "simulated"})
    world.stops[name] = world.now()
    await pass_by()
    world.vendors[name].pauses.clear()
    await world.insist("POST", f"{path}/resume", {})
    world.stops.pop(name, None)


async def _amend(world: World, what: str) -> None:
    """An operator does something with the first delivery that asks for it; it may be refused."""
    state = {"retry": "dead", "discard": "dead", "complete": "held"}[what]
    answer = await world.operate("GET", f"/api/v1/deliveries?state={state}")
    items = answer.json()["items"] if answer and answer.status == 200 else []
    if not items:
        return
    delivery = items[0]
    if what == "complete":
        said = {"repo_url": "https://github.com/acme/other", "pr_number": 7}
        await world.operate("POST", f"/api/v1/incidents/{delivery['incident']}/complete", said)
        return
    world.retried.add(delivery["id"])
    said = {"reason": "simulated"} if what == "discard" else {}
    await world.operate("POST", f"/api/v1/deliveries/{delivery['id']}/{what}", said)


async def _close(world: World, random: Random) -> None:
    """An operator ends an incident, whatever its alerts do."""
    answer = await world.operate("GET", "/api/v1/incidents?state=open&limit=500")
    items = answer.json()["items"] if answer and answer.status == 200 else []
    if items:
        incident = random.choice(items)
        world.closed.add(incident["key"])
        path = f"/api/v1/incidents/{incident['id']}/close"
        await world.operate("POST", path, {"reason": "simulated"})


async def _calm(world: World) -> None:
    world.disarm()
    for vendor in world.vendors.values():
        vendor.weather = "fair"


async def _settled(world: World, when: str) -> None:
    """Return when nothing is left to be done; in calm weather that is bounded."""
    until = world.now() + _CALM
    while world.now() < until:
        await asyncio.sleep(20)
        if not world.down and world.source.quiet() and laws.at_rest(world):
            world.tell("world", f"is at rest, {when}")
            return
    world.violate(f"not at rest after {_CALM:.0f} s, {when}: {laws.unrest(world)}")


async def _watch(world: World) -> None:
    suspects: set[str] = set()
    while True:
        await asyncio.sleep(_LOOK)
        suspects = await laws.check_moving(world, suspects)
