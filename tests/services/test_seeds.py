"""Seeds: the operators' own addresses get the first messages of every edition, and the rest may wait for them."""

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from alerts_service.db import db
from alerts_service.errors import LinkAltered
from alerts_service.models import AT_ONCE, Delivery, Digest, DigestUpdate, Drop, Edition
from alerts_service.rules import tokens
from alerts_service.services import (
    claiming,
    editions,
    explaining,
    leaving,
    ledger,
    proving,
    publishing,
    settling,
    tallying,
)
from alerts_service.services.suppressing import OPERATOR
from tests.scene import DAY, MINUTE, Scene, rows

SEEDS = ("seed@office.example", "second@office.example")


@pytest.fixture
def seeded(scene: Scene) -> Scene:
    """An installation with two seeds and no hold."""
    scene.settings = dataclasses.replace(scene.settings, seed_addresses=SEEDS)
    return scene


def holding(scene: Scene, seconds: int) -> None:
    scene.settings = dataclasses.replace(scene.settings, seed_hold_seconds=seconds)


def seeds(scene: Scene) -> list[Delivery]:
    return [row for row in scene.deliveries("digest") if row.subscriber_id is None]


def edition() -> Edition:
    query = select(Edition).where(Edition.frequency == "daily").order_by(Edition.id.desc()).limit(1)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def updates_of(row: Delivery) -> set[int]:
    return set(db.session.scalars(select(DigestUpdate.update_id).where(DigestUpdate.digest_id == row.digest_id)))


def test_each_seed_gets_the_most_received_digest_before_everybody_else(seeded: Scene) -> None:
    for name in ("ann", "bob"):
        seeded.follow(f"{name}@example.org", "idd", frequency="daily")
    seeded.follow("cid@example.org", "policy", frequency="daily")
    wanted = seeded.release("Most want this", "idd")
    seeded.release("One wants this", "policy")
    assert seeded.tick_at(14, days=0).deliveries == 3, "seeds are not counted"
    planted = seeds(seeded)
    assert [(row.address, row.state, updates_of(row)) for row in planted] == [
        (address, "pending", {wanted}) for address in SEEDS
    ]
    assert all(row.due_at < AT_ONCE and row.edition_id and row.digest_id for row in planted)
    claim = claiming.claim("worker", 100, settings=seeded.settings, now=seeded.now, clock=seeded.now)
    digests = [delivery for delivery in claim.deliveries if delivery.digest_id is not None]
    assert [delivery.address for delivery in digests[:2]] == list(SEEDS)
    assert edition().held_until is None


def test_the_seeds_digest_is_in_the_default_language_where_there_is_one(seeded: Scene) -> None:
    for name in ("ana", "eva"):
        seeded.follow(f"{name}@example.org", "idd", frequency="daily", locale="es")
    seeded.release("News", "idd")
    seeded.tick_at(14)
    assert {db.session.get_one(Digest, row.digest_id).locale for row in seeds(seeded)} == {"es"}, "there is no other"
    seeded.follow("ann@example.org", "idd", frequency="daily")
    seeded.release("More news", "idd")
    seeded.tick_at(14, days=1)
    assert [db.session.get_one(Digest, row.digest_id).locale for row in seeds(seeded)[2:]] == ["en", "en"]


def test_an_edition_that_finds_nobody_has_no_seeds_and_no_hold(seeded: Scene) -> None:
    holding(seeded, 600)
    seeded.tick_at(14)
    assert seeds(seeded) == []
    assert edition().held_until is None


def test_the_hold_runs_on_the_real_clock_even_in_a_rehearsal(seeded: Scene) -> None:
    holding(seeded, 600)
    seeded.follow("ann@example.org", "idd", frequency="daily")
    seeded.release("News", "idd")
    real = seeded.now
    editions.open_due(settings=seeded.settings, now=seeded.now + 30 * DAY, clock=lambda: real)
    assert edition().held_until == real + timedelta(minutes=10)
    seeded.release("More", "idd")
    seeded.now += 40 * DAY
    seeded.tick()
    assert edition().held_until == seeded.now + timedelta(minutes=10), "without a rehearsal, now is real"


def test_seeds_stand_outside_proof_and_explanation_and_in_the_ledger(seeded: Scene) -> None:
    seeded.follow("ann@example.org", "idd", frequency="daily")
    update = seeded.release("News", "idd")
    seeded.tick_at(14)
    found = proving.proof(update, now=seeded.now)
    assert (found["matched"], found["pending"], found["adds_up"]) == (1, 1, True)
    assert explaining.explain(SEEDS[0], update, **seeded.at)["answer"] == "unknown_address"
    lines = [line for line in ledger.lines(settings=seeded.settings) if line["kind"] == "digest"]
    assert Counter(line["address"] for line in lines) == Counter([*SEEDS, "ann@example.org"])
    assert all(line["updates"] == [update] for line in lines)


def test_a_tally_leaves_the_seeds_out(seeded: Scene) -> None:
    seeded.follow("ann@example.org", "idd", frequency="daily")
    update = seeded.release("News", "idd")
    seeded.tick_at(14)
    seeded.deliver()
    assert tallying.tally_finished(seeded.now) > 0
    found = proving.proof(update, now=seeded.now, recount=True)
    assert (found["sent"], found["adds_up"], found["tallies_agree"]) == (1, True, True)
    shown = editions.show(edition().id)
    assert shown["outcomes"] == [{"state": "sent", "reason": None, "deliveries": 1}]
    assert shown["seeds"] == [{"address": address, "state": "sent"} for address in SEEDS]


def test_a_seed_follows_its_digest_when_an_update_is_withdrawn_and_is_not_counted(seeded: Scene) -> None:
    seeded.follow("ann@example.org", "idd", frequency="daily")
    wrong, right = seeded.release("Wrong", "idd"), seeded.release("Right", "idd")
    seeded.tick_at(14)
    publishing.withdraw(wrong, reason="", now=seeded.now)
    settling.settle([row.id for row in seeded.deliveries("digest")], now=seeded.now)
    assert [updates_of(row) for row in seeded.deliveries("digest")] == [{right}] * 3
    assert db.session.scalars(select(Drop.recipients)).all() == [1]
    assert all(proving.proof(update, now=seeded.now)["adds_up"] for update in (wrong, right))


def test_a_suppressed_seed_ends_and_holds_nobody_up(seeded: Scene) -> None:
    seeded.suppress(SEEDS[0], OPERATOR)
    seeded.follow("ann@example.org", "idd", frequency="daily")
    seeded.release("News", "idd")
    seeded.tick_at(14)
    claim = claiming.claim("worker", 100, settings=seeded.settings, now=seeded.now, clock=seeded.now)
    settling.settle(claim.unsettled, now=seeded.now)
    assert [(row.state, row.reason) for row in seeds(seeded)] == [("cancelled", "suppressed"), ("sending", None)]


def test_the_unsubscribe_link_in_a_seed_ends_nobodys_subscription(seeded: Scene) -> None:
    seeded.follow("ann@example.org", "idd", frequency="daily")
    seeded.release("News", "idd")
    seeded.tick_at(14)
    seeded.deliver()
    key, digest = seeded.settings.permanent_key, seeds(seeded)[0].digest_id
    assert key
    assert digest
    before = rows()
    for only_these in (False, True):
        token = tokens.unsubscribe_token(key, 0, digest)
        with pytest.raises(LinkAltered):
            leaving.leave(token, only_these=only_these, page="/", network="", **seeded.at)
    assert rows() == before
    assert seeded.subscriber("ann@example.org").ended_at is None


def test_the_seeds_are_sent_while_the_hold_keeps_the_rest(seeded: Scene) -> None:
    holding(seeded, 600)
    seeded.follow("ann@example.org", "idd", frequency="daily")
    seeded.release("News", "idd")
    seeded.tick_at(14)
    seeded.deliver()
    digests = seeded.deliveries("digest")
    assert {row.address: row.state for row in digests if row.subscriber_id is None} == dict.fromkeys(SEEDS, "sent")
    assert [row.state for row in digests if row.subscriber_id is not None] == ["pending"]
    seeded.now += 11 * MINUTE
    seeded.deliver()
    assert {row.state for row in seeded.deliveries("digest")} == {"sent"}
