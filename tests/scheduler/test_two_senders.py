"""Senders side by side, leases that run out, and what may not be mailed from here."""

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, func, select, text

from alerts_service.db import db, is_postgresql, transaction
from alerts_service.models import AddressChange, Delivery, DeliveryState, FreshLink, MailKind
from alerts_service.rules import tokens
from alerts_service.services import claiming, letters, outbox, own_data, preferences, publishing, readdressing
from scheduler import delivering, receipts
from scheduler.claims import FIRST_BATCH
from scheduler.running import Counts
from tests.mail.scripted import ScriptedRelay
from tests.relays import Relay
from tests.scene import MINUTE, Scene, at_once
from tests.scheduler.conftest import QueueLetters

ANN = "ann@example.org"
BOB = "bob@example.org"


@pytest.fixture
def peer() -> Iterator[ScriptedRelay]:
    """A second relay, which answers by script."""
    server = ScriptedRelay()
    yield server
    server.stop()


def look_from_outside(scene: Scene) -> Callable[[], object]:
    """Return a look at the database, over a connection of its own, for transactions that stand open."""
    url = scene.settings.database_url
    return (lambda: _idle_on_postgresql(url)) if is_postgresql() else (lambda: _busy_on_sqlite(url))


def _idle_on_postgresql(url: str) -> object:
    engine = create_engine(url)
    with engine.connect() as connection:
        idle = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        found = connection.scalar(text(idle))
    engine.dispose()
    return found


def _busy_on_sqlite(url: str) -> object:
    """Write, and then empty the log, which only works when nobody is reading."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.2)
    try:
        with connection:
            connection.execute("UPDATE turnstile SET release_seq = release_seq")
        return connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()


def change_address(scene: Scene, of: str, to: str) -> None:
    """Go through a change of address: three mails."""
    keys = scene.settings.secret_keys
    own_data.ask_link(scene.preferences_token(of), **scene.at)
    link = db.session.scalars(select(func.max(FreshLink.id))).one()
    readdressing.ask(tokens.own_data_token(keys, link, scene.now), to, sure_of="", **scene.at)
    change = db.session.scalars(select(func.max(AddressChange.id))).one()
    readdressing.confirm(tokens.new_address_token(keys, change, scene.now), page="/", network="", **scene.at)


def letters_about(scene: Scene, address: str) -> None:
    """Leave, and be reminded of a sign-up that waits."""
    scene.follow(address, "idd")
    scene.leave(address)
    scene.ask(address, "idd")
    with transaction() as session:
        about: dict[str, Any] = {"address": address, "address_hash": scene.address_hash(address), "locale": "en"}
        details = {"sign_up": scene.sign_up_id(address)}
        letters.queue(session, MailKind.REMINDER, **about, details=details, now=scene.now)


def test_no_transaction_is_open_while_a_message_is_sent(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    scene.ask(ANN, "policy")
    preferences.ask_link(ANN, locale="en", **scene.at)
    scene.release("News")
    scene.tick_at(14)
    change_address(scene, ANN, "new@example.net")
    letters_about(scene, "bob@example.org")
    look, seen = look_from_outside(scene), []
    relay.meanwhile = lambda recipient: seen.append(look())
    sent = scene.deliver().sent
    assert {row.kind for row in scene.deliveries() if row.state == "sent"} == {kind.value for kind in MailKind}
    assert seen == [0] * sent


def test_each_250_is_in_the_ledger_or_a_receipt_before_the_next_message_begins(
    scene: Scene, relay: Relay, core: Flask
) -> None:
    for n in range(4):
        scene.ask(f"reader{n}@example.org")
    seen = []

    def noted() -> int:
        return sum(path.read_bytes().count(b"\n") for path in receipts.folder(scene.settings.state_dir).iterdir())

    def look(recipient: str) -> None:
        found, waiting = -1, 0
        while found != noted():  # the ledger is written, and the receipts cleared, at the worker's own time
            found = noted()
            with core.app_context():
                waiting = outbox.count()
        seen.append(waiting - found)

    relay.meanwhile = look
    scene.deliver()
    assert seen == [4, 3, 2, 1]


def test_senders_at_once_send_each_message_once(scene: Scene, relay: Relay, queue_letters: QueueLetters) -> None:
    addresses = queue_letters(6 * FIRST_BATCH)
    found = at_once(*[scene.deliver] * 3)
    assert not [outcome for outcome in found if isinstance(outcome, Exception)]
    assert sum(counts.sent for counts in found) == len(addresses)
    assert len([counts for counts in found if counts.sent]) > 1, "they worked side by side"
    assert Counter(received.recipient for received in relay.received) == Counter(addresses)
    assert {(row.state, row.claim_number) for row in scene.deliveries()} == {("sent", 1)}


def test_a_lease_that_ran_out_is_taken_back_and_charges_nothing(scene: Scene, relay: Relay) -> None:
    scene.ask(ANN)
    (claimed,) = claiming.claim(
        "a worker that died", 10, settings=scene.settings, now=scene.now, clock=scene.now
    ).deliveries
    assert claimed.claim_number == 1
    assert scene.deliver() == Counts(), "it is in other hands"
    assert outbox.count() == 1
    scene.now += MINUTE
    assert scene.deliver() == Counts(), "the lease lasts as long as was said"
    scene.now += MINUTE
    assert scene.deliver() == Counts(sent=1)
    (row,) = scene.deliveries()
    assert (row.claim_number, row.attempts, row.claimed_by) == (2, 0, None)


def test_a_sender_that_lost_its_lease_in_mid_message_writes_nothing(
    scene: Scene, relay: Relay, peer: ScriptedRelay, core: Flask
) -> None:
    scene.ask(ANN)
    peer.script["RCPT"] = ["552 5.2.2 full"]
    other = dataclasses.replace(scene.settings, smtp_url=peer.url)
    counted = []

    def overtake(recipient: str) -> None:
        scene.now += 2 * MINUTE
        with core.app_context():
            counted.append(delivering.deliver(other, lambda: scene.now))

    relay.meanwhile = overtake
    scene.deliver()
    assert counted == [Counts(failed=1)]
    (row,) = scene.deliveries()
    assert (row.state, row.reply, row.claim_number, row.sent_at) == ("failed", "552 5.2.2 full", 2, None)


def test_a_sender_that_comes_to_after_its_lease_sends_nothing_more_of_its_batch(
    scene: Scene, relay: Relay, peer: ScriptedRelay, queue_letters: QueueLetters, core: Flask
) -> None:
    queue_letters(5)
    other = dataclasses.replace(scene.settings, smtp_url=peer.url)

    def sleep(recipient: str) -> None:
        scene.now += 2 * MINUTE
        with core.app_context():
            delivering.deliver(other, lambda: scene.now, drain=True)

    relay.meanwhile = sleep
    scene.deliver()
    assert (len(relay.received), len(peer.bodies)) == (1, 5), "only what was under way is sent twice"
    assert {(row.state, row.claim_number) for row in scene.deliveries()} == {("sent", 2)}


def test_a_slow_relay_is_sent_everything_in_several_claims(
    scene: Scene, relay: Relay, queue_letters: QueueLetters
) -> None:
    def take_long(recipient: str) -> None:
        scene.now += MINUTE / 2

    queue_letters(5)
    relay.meanwhile = take_long
    assert scene.deliver() == Counts(sent=5)
    assert len(relay.received) == 5


def test_a_claim_number_keeps_a_sender_from_recording_an_older_claim_of_its_own(scene: Scene, relay: Relay) -> None:
    scene.ask(ANN)
    (first,) = claiming.claim("w", 1, **scene.at, clock=scene.now).deliveries
    scene.now += 2 * MINUTE
    assert outbox.take_back(scene.now) == 1
    (second,) = claiming.claim("w", 1, **scene.at, clock=scene.now).deliveries
    failed, sent = outbox.Outcome(first, DeliveryState.FAILED), outbox.Outcome(second, DeliveryState.SENT)
    assert outbox.record("somebody else", [sent], clock=scene.now) == 0
    assert [outbox.record("w", [outcome], clock=scene.now) for outcome in (failed, sent)] == [0, 1]
    assert [row.state for row in scene.deliveries()] == ["sent"]


def test_a_sender_that_is_told_to_stop_gives_back_what_it_had_not_begun(scene: Scene, relay: Relay) -> None:
    for n in range(4):
        scene.ask(f"reader{n}@example.org")
    assert scene.deliver(stop=lambda: len(relay.received) >= 2).sent == 2
    rows = scene.deliveries()
    assert [row.state for row in rows] == ["sent", "sent", "pending", "pending"]
    assert all(row.claimed_by is None and row.lease_until is None for row in rows)
    assert scene.deliver().sent == 2


def test_outside_production_only_the_allow_list_is_mailed(scene: Scene, relay: Relay) -> None:
    for address in (ANN, "Tester@ours.example"):
        scene.follow(address, frequency="daily")
    scene.release("News")
    scene.tick_at(14)
    scene.settings = dataclasses.replace(scene.settings, mode="staging", mail_allow=("*@ours.example",))
    assert scene.deliver() == Counts(sent=3, cancelled=3)
    assert {received.recipient for received in relay.received} == {"Tester@ours.example"}
    refused = [row for row in scene.deliveries() if row.state == "cancelled"]
    assert {row.reason for row in refused} == {claiming.NOT_ALLOWED}
    assert {row.kind for row in refused} == {"confirmation", "welcome", "digest"}
    scene.settings = dataclasses.replace(scene.settings, mail_allow=())
    scene.ask("tester@ours.example", "policy")
    assert scene.deliver() == Counts(cancelled=1), "an empty list lets nobody through"


def test_a_mail_whose_subject_is_gone_fails_with_the_reason_and_holds_up_nobody(scene: Scene, relay: Relay) -> None:
    scene.ask(ANN)
    scene.ask(BOB)
    first, _ = scene.deliveries()
    with transaction() as session:
        session.get_one(Delivery, first.id).details = {"sign_up": 999}
    assert scene.deliver() == Counts(sent=1, failed=1)
    row, _ = scene.deliveries()
    assert (row.state, row.reason) == ("failed", "There is no sign-up “999”.")


def test_what_lapses_in_a_rehearsal_does_so_at_its_moment_while_leases_run_on_the_real_clock(
    scene: Scene, relay: Relay
) -> None:
    scene.follow(ANN, frequency="daily")
    scene.deliver()
    begun = scene.now
    scene.release("Short-lived", expires_at=begun + 4 * 60 * MINUTE)
    scene.tick_at(14)
    scene.now = begun
    assert scene.deliver(rehearsal=begun + 5 * 60 * MINUTE) == Counts(cancelled=1)
    assert [(row.state, row.reason) for row in scene.deliveries(MailKind.DIGEST)] == [("cancelled", "expired")]


def test_an_update_withdrawn_after_the_compile_is_not_in_the_mail(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, frequency="daily")
    scene.deliver()
    withdrawn, _ = scene.release("Wrong"), scene.release("Right")
    scene.tick_at(14)
    publishing.withdraw(withdrawn, reason="", now=scene.now)
    assert scene.deliver() == Counts(sent=1)
    mail = relay.to(ANN)[-1]
    assert mail.message["Subject"] == "Right"
    assert "Wrong" not in mail.part("plain") + mail.part("html")
