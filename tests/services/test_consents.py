"""The consent record: chained, exact, and whole."""

import pytest
from sqlalchemy import func, select, text

from alerts_service.db import db
from alerts_service.models import Consent, Wording
from alerts_service.services import consents
from tests.scene import Scene, at_once

ANN = "ann@example.org"


def test_many_people_may_agree_to_new_words_at_once(scene: Scene) -> None:
    addresses = [f"reader{n}@example.org" for n in range(6)]
    found = at_once(*(lambda a=a: scene.ask(a, wording="Words nobody has seen before.") for a in addresses))
    assert found == [None] * 6
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(Wording)) == 1
    assert all(consents.verify(db.session(), scene.address_hash(address)) for address in addresses)


def test_the_consent_chain_grows_and_verifies_also_when_written_at_once(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    calls = [lambda: scene.ask(ANN, "policy"), lambda: scene.confirm(token), lambda: scene.ask(ANN, "ltss")]
    found = at_once(*calls)
    assert not [outcome for outcome in found if isinstance(outcome, Exception)]
    history = consents.history(db.session(), scene.address_hash(ANN))
    assert [row.number for row in history] == [1, 2, 3, 4]
    assert consents.verify(db.session(), scene.address_hash(ANN))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE consents SET kind = 'confirmed' WHERE number = 1",
        "UPDATE consents SET wording_version = NULL WHERE number = 1",
        "UPDATE consents SET facts = '{}' WHERE number = 2",
        'UPDATE consents SET personal = \'{"address": "bob@example.org", "network": "192.0.2.1"}\' WHERE number = 1',
        "UPDATE consents SET personal_digest = hash WHERE number = 1",
        "UPDATE consents SET previous_hash = hash WHERE number = 2",
        "UPDATE consents SET number = 5 WHERE number = 3",
        "DELETE FROM consents WHERE number = 2",
    ],
)
def test_an_altered_record_shows(scene: Scene, change: str) -> None:
    scene.follow(ANN)
    scene.leave(ANN)
    assert consents.verify(db.session(), scene.address_hash(ANN))
    db.session.execute(text(change))
    db.session.expire_all()
    assert not consents.verify(db.session(), scene.address_hash(ANN))


def test_erasing_what_is_personal_leaves_a_chain_that_verifies(scene: Scene) -> None:
    scene.follow(ANN)
    db.session.execute(text("UPDATE consents SET personal = NULL, salt = NULL"))
    db.session.expire_all()
    assert consents.verify(db.session(), scene.address_hash(ANN))
    assert "ann@example.org" not in str([vars(row) for row in db.session.scalars(select(Consent))])


def test_a_moment_given_in_another_zone_still_verifies(scene: Scene) -> None:
    scene.now = scene.now.astimezone(scene.settings.timezone)
    scene.follow(ANN)
    db.session.expire_all()
    assert consents.verify(db.session(), scene.address_hash(ANN))


def test_the_very_words_are_kept_once_a_version(scene: Scene) -> None:
    scene.follow(ANN)
    scene.ask("bob@example.org", wording="Other words.")
    words = {row.version: row.words for row in db.session.scalars(select(Wording))}
    assert len(words) == 2
    versions = [row.wording_version for row in db.session.scalars(select(Consent).order_by(Consent.id))]
    assert words[str(versions[-1])] == "Other words."
    assert versions[0] == versions[1]
