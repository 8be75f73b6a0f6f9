"""How fast is sent while much waits: confirmations beside a digest, limits over workers, a domain that asks."""

import time
from collections.abc import Callable

import pytest

from alerts_service.services import rates
from tests.faults.audit import audit
from tests.faults.conftest import Start, counted, drained, wait_until
from tests.faults.sink import Sink
from tests.scene import Scene

ANN = "ann@example.org"
LIMITED, FREE = "example.org", "example.net"

pytestmark = pytest.mark.slow

Queue = Callable[..., int]


def test_a_confirmation_is_sent_within_seconds_while_a_large_digest_is_going_out_and_the_relay_slows_down(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    digests(5000)
    relay.delay = 0.005
    start()
    wait_until(lambda: len(relay.stored) > 1000)
    # What is claimed now lasts for ten seconds and more.
    relay.delay = 0.25
    asked = time.monotonic()
    scene.ask(ANN)
    wait_until(lambda: any(copy.recipient == ANN for copy in relay.stored[1000:]))
    assert time.monotonic() - asked < 5
    assert counted("pending") > 1000, "the digest is not at its end"


def test_two_workers_keep_to_the_limit_of_a_domain_together_while_another_goes_on(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    per_second = 20.0
    rates.set_limits(LIMITED, {"per_second": per_second}, settings=scene.settings, clock=scene.now)
    digests(200, LIMITED, FREE)
    start(2)
    wait_until(drained)
    audit(scene, relay)
    limited = moments(relay, LIMITED)
    assert most_above(limited, per_second) <= 2.5 * per_second, "two seconds' worth may go out at once"
    assert limited[-1] - limited[0] > len(limited) / per_second - 2.5
    assert moments(relay, FREE)[-1] - limited[0] < (limited[-1] - limited[0]) / 2


def test_a_domain_that_asks_for_less_is_slowed_down_by_itself_while_another_goes_on(
    scene: Scene, relay: Sink, start: Start, digests: Queue
) -> None:
    number = digests(1200, LIMITED, FREE)
    relay.refuse = lambda recipient: "450 4.7.1 too fast" if recipient.endswith(LIMITED) else None
    start(2, ALERTS_RETRY_SECONDS="300")
    wait_until(lambda: len(relay.stored) > 0.45 * number)
    time.sleep(2)
    assert {copy.recipient.partition("@")[2] for copy in relay.stored} == {FREE}
    tried = [at for recipient, at in relay.asked if recipient.endswith(LIMITED)]
    assert len(tried) < number / 4
    assert most_above([at for at in tried if at > tried[0] + 1], 8.0) <= 2.5 * 8
    slowed = {row["name"]: row["slowed_per_second"] for row in rates.listing(settings=scene.settings, clock=scene.now)}
    assert list(slowed) == [LIMITED]


def moments(relay: Sink, domain: str) -> list[float]:
    """When each message for a domain was taken."""
    return sorted(copy.at for copy in relay.stored if copy.recipient.endswith(domain))


def most_above(at: list[float], per_second: float) -> float:
    """How many messages more than its share at this rate the fullest stretch of time holds."""
    return max(
        last - first + 1 - (at[last] - at[first]) * per_second
        for first in range(len(at))
        for last in range(first, len(at))
    )
