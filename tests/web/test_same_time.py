"""The form takes the same time for every address, so that nobody can learn by it who is subscribed."""

import statistics
import time

import pytest
from flask.testing import FlaskClient

from tests.scene import Scene
from tests.web.asking import FORM
from tests.web.conftest import OpenSite

ROUNDS = 200
# Somebody else's work may disturb one try; a difference that is ours is there in each.
TRIES = 4
KINDS = ("new", "known", "suppressed", "former")


def addresses(scene: Scene, name: str) -> dict[str, list[str]]:
    """So many addresses of each kind, each twice: more often would pass the cap of its mailbox."""
    made = {kind: [f"{kind}{name}n{number // 2}@example.org" for number in range(ROUNDS)] for kind in KINDS}
    for number in range(0, ROUNDS, 2):
        for kind in ("known", "former"):
            scene.follow(made[kind][number], "dementia")
        scene.leave(made["former"][number])
        scene.suppress(made["suppressed"][number])
    return made


def medians(site: FlaskClient, made: dict[str, list[str]]) -> dict[str, float]:
    """Sign everybody up, a kind after the other in turn; return the median of each in milliseconds."""
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(ROUNDS):
        for kind in KINDS:
            form = FORM | {"email": made[kind][number]}
            began = time.perf_counter()
            assert site.post("/subscribe", data=form).status_code == 303
            taken[kind].append(1000 * (time.perf_counter() - began))
    return {kind: statistics.median(found) for kind, found in taken.items()}


@pytest.mark.slow
def test_new_known_suppressed_and_former_addresses_take_the_same_time(another: OpenSite, scene: Scene) -> None:
    site, seen = another(limits=False), []
    for again in range(TRIES):
        seen.append(medians(site, addresses(scene, str(again))))
        if max(seen[-1].values()) <= 1.1 * min(seen[-1].values()):
            break
    else:
        pytest.fail(f"the medians differ by more than a tenth: {seen}")
