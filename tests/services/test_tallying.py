"""Tallies: what has ended is counted once; proof and the list of editions look it up, and say the same."""

import pytest
from sqlalchemy import event, select, update

from alerts_service.db import db, transaction
from alerts_service.models import Delivery, DeliveryState, Edition, Tally, UpdateTally
from alerts_service.services import claiming, editions, outbox, proving, publishing, settling, tallying
from alerts_service.services.outbox import Outcome
from tests.scene import Scene

ANN, BOB, CID = "ann@example.org", "bob@example.org", "cid@example.org"


@pytest.fixture
def ended(scene: Scene) -> tuple[int, int, int]:
    """A daily edition of two updates, one withdrawn, that ended in every way; and the two updates."""
    for address in (ANN, BOB, CID):
        scene.follow(address, "idd", frequency="daily")
    scene.deliver()
    wrong, right = scene.release("Wrong", "idd"), scene.release("Right", "idd")
    scene.tick_at(14)
    sent, failed = claimed = claiming.claim("w", 2, settings=scene.settings, now=scene.now, clock=scene.now).deliveries
    outcomes = [Outcome(sent, DeliveryState.SENT), Outcome(failed, DeliveryState.FAILED, reason="too long")]
    outbox.record("w", outcomes, clock=scene.now)
    publishing.withdraw(wrong, reason="", now=scene.now)
    scene.suppress(CID)
    settling.settle([row.id for row in scene.deliveries("digest")], now=scene.now)
    assert len(claimed) == 2
    return scene.deliveries("digest")[0].edition_id or 0, wrong, right


def test_an_edition_is_tallied_when_nothing_of_it_is_left_to_send(scene: Scene) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    scene.deliver()
    scene.release("News", "idd")
    scene.tick_at(14)
    tallying.tally_finished(scene.now)
    edition = scene.deliveries("digest")[0].edition_id
    assert db.session.scalar(select(Tally.edition_id).where(Tally.edition_id == edition)) is None
    [delivery] = claiming.claim("w", 9, settings=scene.settings, now=scene.now, clock=scene.now).deliveries
    assert tallying.tally_finished(scene.now) == 0, "it is being sent"
    outbox.record("w", [Outcome(delivery, DeliveryState.SENT)], clock=scene.now)
    assert tallying.tally_finished(scene.now) == 1
    assert tallying.tally_finished(scene.now) == 0
    assert db.session.get_one(Edition, edition).tallied_at == scene.now


def test_the_proof_is_the_same_before_and_after_and_counted_anew(scene: Scene, ended: tuple[int, int, int]) -> None:
    edition, wrong, right = ended
    before = [proving.proof(update_id, now=scene.now) for update_id in (wrong, right)]
    shown, listed = editions.show(edition), editions.listing()
    tallying.tally_finished(scene.now)
    assert [proving.proof(update_id, now=scene.now) for update_id in (wrong, right)] == before
    assert (editions.show(edition), editions.listing()) == (shown, listed)
    assert [proving.proof(u, now=scene.now, recount=True) for u in (wrong, right)] == [
        found | {"tallies_agree": True} for found in before
    ]
    assert before[1]["cancelled_by_reason"] == {"suppressed": 1}
    assert before[0]["cancelled_by_reason"] == {"withdrawn": 1}
    assert [(found["sent"], found["failed"], found["adds_up"]) for found in before] == [(1, 1, True)] * 2
    assert {"state": "failed", "reason": "too long", "deliveries": 1} in shown["outcomes"]


def test_a_recount_says_when_a_tally_is_wrong(scene: Scene, ended: tuple[int, int, int]) -> None:
    _, _, right = ended
    tallying.tally_finished(scene.now)
    with transaction() as session:
        session.execute(update(UpdateTally).where(UpdateTally.state == "sent").values(recipients=2))
    assert not proving.proof(right, now=scene.now)["adds_up"]
    found = proving.proof(right, now=scene.now, recount=True)
    assert (found["adds_up"], found["tallies_agree"]) == (True, False)


def test_a_tallied_edition_is_not_counted_again(scene: Scene, ended: tuple[int, int, int]) -> None:
    edition, _, right = ended
    tallying.tally_finished(scene.now)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        proving.proof(right, now=scene.now)
        editions.listing()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert statements
    assert not [statement for statement in statements if "count(" in statement and "deliveries" in statement]
    assert edition


def test_what_is_reopened_is_counted_from_its_rows(scene: Scene, ended: tuple[int, int, int]) -> None:
    edition, _, right = ended
    tallying.tally_finished(scene.now)
    with transaction() as session:
        tallying.reopen(session, editions.existing(session, edition, lock=True))
        session.execute(update(Delivery).where(Delivery.state == "failed").values(state="sent", sent_at=scene.now))
    found = proving.proof(right, now=scene.now, recount=True)
    assert (found["sent"], found["failed"], found["tallies_agree"]) == (2, 0, True)
