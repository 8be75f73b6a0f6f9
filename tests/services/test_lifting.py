"""Lifting the suppressions of a whole domain, after its server had refused everybody for a while."""

import pytest

from alerts_service.errors import AddressRefused
from alerts_service.services import suppressing
from tests.scene import DAY, HOUR, Scene


def lift(scene: Scene, domain: str) -> int:
    found = suppressing.count_of_domain(domain, since=scene.now - HOUR, until=scene.now + HOUR)
    lifted = suppressing.lift_domain(domain, "an outage", since=scene.now - HOUR, until=scene.now + HOUR, now=scene.now)
    assert lifted == found
    return lifted


def test_a_bounce_is_lifted_by_domain_and_time_and_a_complaint_is_not(scene: Scene) -> None:
    for name in ("ann@a.example", "bob@a.example", "cid@b.example", "dot@sub.a.example"):
        scene.follow(name, "idd")
        scene.suppress(name, suppressing.BOUNCE)
    scene.follow("eve@a.example", "idd")
    scene.suppress("eve@a.example", suppressing.COMPLAINT)
    assert lift(scene, "A.Example") == 2
    assert sorted(row["address"] for row in suppressing.listing()) == [
        "cid@b.example",
        "dot@sub.a.example",
        "eve@a.example",
    ]
    assert lift(scene, "a.example") == 0


def test_what_was_suppressed_before_or_after_stays(scene: Scene) -> None:
    scene.follow("ann@a.example", "idd")
    scene.suppress("ann@a.example", suppressing.BOUNCE)
    scene.now += DAY
    assert lift(scene, "a.example") == 0
    scene.now -= 2 * DAY
    assert lift(scene, "a.example") == 0


def test_who_has_not_confirmed_yet_is_found_by_the_sign_up(scene: Scene) -> None:
    scene.ask("ann@a.example")
    scene.suppress("ann@a.example", suppressing.BOUNCE)
    assert lift(scene, "a.example") == 1


@pytest.mark.parametrize("domain", ["", "no domain", "a_b%"])
def test_what_is_no_domain_is_refused(scene: Scene, domain: str) -> None:
    with pytest.raises(AddressRefused):
        lift(scene, domain)
