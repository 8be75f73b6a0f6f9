"""The sender: what each reply of a relay comes to, who goes first, and that nothing goes out twice."""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta

import pytest

from alerts_service.models import Delivery, MailKind
from alerts_service.rules import retries
from alerts_service.services import claiming, editions, outbox, preferences, subscribers
from scheduler.claims import FIRST_BATCH
from scheduler.running import Counts
from tests.databases import free_port
from tests.mail.scripted import DROP, ScriptedRelay
from tests.relays import Relay
from tests.scene import DAY, MINUTE, Scene
from tests.scheduler.conftest import QueueLetters

ANN = "ann@example.org"
BOB = "bob@example.org"
SECOND = timedelta(seconds=1)


@pytest.fixture
def peer(scene: Scene) -> Iterator[ScriptedRelay]:
    """A relay that answers by script; the scene's mail goes to it."""
    server = ScriptedRelay()
    scene.settings = dataclasses.replace(scene.settings, smtp_url=server.url)
    yield server
    server.stop()


def only(scene: Scene) -> Delivery:
    """The one delivery there is."""
    (delivery,) = scene.deliveries()
    return delivery


def digest_due(scene: Scene, *addresses: str) -> int:
    """Bring a digest for each address into the queue, nothing else in it; return its edition."""
    for address in addresses:
        scene.follow(address, frequency="daily")
    others, scene.settings = scene.settings, dataclasses.replace(scene.settings, smtp_url=(elsewhere := Relay()).url)
    scene.deliver()
    scene.settings = others
    elsewhere.stop()
    scene.release("News")
    scene.tick_at(14)
    assert outbox.count() == len(addresses)
    return scene.digest_of(addresses[0]).edition_id


def digests(scene: Scene) -> list[tuple[str, str | None, int]]:
    """State, reason and attempts of every digest."""
    return [(row.state, row.reason, row.attempts) for row in scene.deliveries(MailKind.DIGEST)]


def test_what_is_sent_is_recorded_with_the_reply_and_the_moment(scene: Scene, relay: Relay) -> None:
    scene.ask(ANN)
    assert scene.deliver() == Counts(sent=1)
    row = only(scene)
    assert (row.state, row.reply, row.relay_id) == ("sent", "250 2.0.0 queued as 1", "1")
    assert (row.sent_at, row.attempts, row.claimed_by, row.lease_until) == (scene.now, 0, None, None)
    assert [(received.sender, received.recipient) for received in relay.received] == [("service@care.example.org", ANN)]
    assert outbox.count() == 0
    assert scene.deliver() == Counts(), "there is nothing left to do"


def test_one_batch_is_sent_unless_all_is_asked_for(scene: Scene, queue_letters: QueueLetters) -> None:
    queue_letters(FIRST_BATCH + 3)
    assert scene.deliver(drain=False).sent == FIRST_BATCH
    assert scene.deliver().sent == 3


def test_a_refusal_for_now_is_tried_again_later_and_later_and_given_up_after_four_days(
    scene: Scene, relay: Relay
) -> None:
    scene.ask(ANN)
    relay.refusals[ANN] = ["451 4.3.0 not now"] * 100
    begun, waits = scene.now, []
    while only(scene).state != "failed":
        assert scene.deliver() in (Counts(retrying=1), Counts(failed=1))
        row = only(scene)
        assert row.reply == "451 4.3.0 not now"
        if row.state == "pending":
            assert scene.deliver() == Counts(), "it is not due yet"
            waits.append(row.due_at - scene.now)
            scene.now = row.due_at
    for wait, doubled in zip(waits, (1, 2, 4, 8, 16), strict=False):
        assert 0.8 <= wait / (doubled * MINUTE) <= 1.2
    assert max(waits) <= 1.2 * timedelta(hours=4)
    assert begun + retries.GIVE_UP_AFTER <= scene.now <= begun + 4 * DAY + timedelta(hours=5)
    assert only(scene).attempts == len(waits) + 1
    assert relay.received == []
    assert subscribers.state(ANN, **scene.at) == "pending", "giving up says nothing about the address"


def test_a_refusal_for_now_may_turn_into_a_yes(scene: Scene, relay: Relay) -> None:
    scene.ask(ANN)
    relay.refusals[ANN] = ["450 4.2.1 greylisted"]
    relay.data_refusals[ANN] = ["452 4.3.1 full"]
    for _ in range(2):
        assert scene.deliver() == Counts(retrying=1)
        scene.now = only(scene).due_at
    assert scene.deliver() == Counts(sent=1)
    assert (only(scene).attempts, only(scene).reply) == (2, "250 2.0.0 queued as 1")
    assert len(relay.received) == 1


@pytest.mark.parametrize(("reply", "state"), [("550 5.1.1 no such user", "suppressed"), ("552 5.2.2 full", "active")])
def test_a_refused_recipient_fails_and_only_a_dead_address_is_suppressed(
    scene: Scene, relay: Relay, reply: str, state: str
) -> None:
    digest_due(scene, ANN, BOB)
    relay.refusals[ANN] = [reply]
    assert scene.deliver() == Counts(sent=1, failed=1)
    assert sorted(digests(scene)) == [("failed", None, 1), ("sent", None, 0)]
    assert next(row for row in scene.deliveries(MailKind.DIGEST) if row.state == "failed").reply == reply
    assert subscribers.state(ANN, **scene.at) == state
    assert subscribers.state(BOB, **scene.at) == "active"
    preferences.ask_link(ANN, locale="en", **scene.at)
    assert scene.deliver() == (Counts(cancelled=1) if state == "suppressed" else Counts(sent=1))


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("MAIL", "550 5.7.1 not from here"),
        ("DATA", "554 5.6.0 no"),
        (".", "554 5.7.1 looks like spam"),
        ("RCPT", "550 5.7.1 policy"),
    ],
)
def test_a_relay_that_refuses_us_pauses_the_edition_and_harms_no_address(
    scene: Scene, peer: ScriptedRelay, verb: str, reply: str
) -> None:
    edition = digest_due(scene, ANN, BOB)
    peer.script[verb] = [reply]
    assert scene.deliver().sent == 0
    assert digests(scene) == [("pending", None, 0)] * 2
    assert len(peer.bodies) == (1 if verb == "." else 0), "one refusal is enough"
    assert editions.show(edition)["paused_reason"] == f"The relay said: {reply}"
    assert subscribers.state(ANN, **scene.at) == subscribers.state(BOB, **scene.at) == "active"
    scene.ask("cid@example.org")
    assert scene.deliver() == Counts(sent=1), "other mail goes on"
    editions.resume(edition)
    assert scene.deliver() == Counts(sent=2)


def test_a_letter_is_tried_again_when_the_relay_refuses_us(scene: Scene, peer: ScriptedRelay) -> None:
    scene.ask(ANN)
    peer.script["."] = ["554 5.7.1 no"]
    assert scene.deliver() == Counts(retrying=1)
    assert (only(scene).state, only(scene).reply, only(scene).attempts) == ("pending", "554 5.7.1 no", 1)
    scene.now = only(scene).due_at
    assert scene.deliver() == Counts(sent=1)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_a_relay_that_closes_puts_the_message_back_and_charges_nothing(
    scene: Scene, peer: ScriptedRelay, verb: str
) -> None:
    scene.ask(ANN)
    scene.ask(BOB)
    peer.script[verb] = ["421 4.3.2 going down"]
    assert scene.deliver() == Counts(sent=1, retrying=1)
    first, second = scene.deliveries()
    assert (first.state, first.reply, first.attempts) == ("pending", "421 4.3.2 going down", 0)
    assert (first.due_at, second.state) == (scene.now + SECOND, "sent")
    scene.now += SECOND
    assert scene.deliver() == Counts(sent=1)
    assert scene.deliveries()[0].attempts == 0


def test_mail_waits_for_a_relay_that_is_away(scene: Scene, relay: Relay) -> None:
    url = scene.settings.smtp_url
    for address in (ANN, BOB):
        scene.ask(address)
    scene.settings = dataclasses.replace(scene.settings, smtp_url=f"smtp://127.0.0.1:{free_port()}")
    assert scene.deliver() == Counts()
    assert outbox.count() == 2
    for row in scene.deliveries():
        assert (row.state, row.attempts, row.claimed_by) == ("pending", 0, None)
        assert "The relay cannot be used" in str(row.reply)
    scene.settings = dataclasses.replace(scene.settings, smtp_url=url)
    assert scene.deliver() == Counts(sent=2)
    assert outbox.count() == 0


def test_a_connection_that_breaks_after_the_final_dot_sends_again_with_the_same_message_id(
    scene: Scene, peer: ScriptedRelay
) -> None:
    scene.ask(ANN)
    peer.script["."] = [DROP]
    assert scene.deliver() == Counts(retrying=1)
    assert (only(scene).state, only(scene).attempts) == ("pending", 1), "charged, so that it ends some day"
    assert "no reply after the final dot" in str(only(scene).reply)
    scene.now = only(scene).due_at
    assert scene.deliver() == Counts(sent=1)
    first, second = ([line for line in body.splitlines() if b"Message-ID" in line] for body in peer.bodies)
    assert first == second != []


def test_confirmations_go_before_urgent_mail_and_that_before_digests_already_queued(scene: Scene, relay: Relay) -> None:
    digest_due(scene, ANN)
    scene.release("Alarm", urgent=True)
    scene.tick(SECOND)
    scene.ask("new@example.org")
    claimed = [claiming.claim("a worker", 1, **scene.at, clock=scene.now).deliveries for _ in range(3)]
    first, second, third = (found[0] for found in claimed)
    assert [found.kind for found in (first, second, third)] == ["confirmation", "digest", "digest"]
    assert (second.edition_id or 0) > (third.edition_id or 0), "the urgent one was opened later"
    scene.now += 2 * MINUTE
    scene.deliver()
    subjects = [str(received.message["Subject"]) for received in relay.received]
    assert subjects[1:] == ["Alarm", "News"]
    assert relay.received[0].recipient == "new@example.org"
