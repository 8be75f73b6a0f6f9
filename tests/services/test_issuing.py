"""From who is owed what to digests and deliveries: one digest for each exact set, whoever finds it first."""

from sqlalchemy import select

from alerts_service.db import db, transaction
from alerts_service.models import Digest, DigestUpdate, Edition
from alerts_service.services import compiling, digests, preferences, publishing
from tests.scene import Scene

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"
MORE_THAN_A_WORD = 70


def held(digest: Digest) -> set[int]:
    """The updates of a digest."""
    return set(db.session.scalars(select(DigestUpdate.update_id).where(DigestUpdate.digest_id == digest.id)))


def weekly(scene: Scene) -> None:
    """Go to the next Tuesday's slot and compile it."""
    scene.tick_at(14, days=(1 - scene.now.weekday()) % 7 or 7)


def test_whoever_is_owed_the_same_set_shares_a_digest_over_all_batches(scene: Scene) -> None:
    for address in (ANN, EVE, BOB):
        scene.follow(address, *(["dementia"] if address == EVE else ["idd"]))
    both, one = scene.release("Both", "idd", "dementia"), scene.release("One", "idd")
    with transaction() as session:
        session.add(
            Edition(frequency="weekly", slot_at=scene.now, from_seq=0, through_seq=2, urgent=False, opened_at=scene.now)
        )
    while compiling.compile_next(scene.now, batch=1)[0]:
        pass
    shared, other = scene.digest_of(ANN), scene.digest_of(EVE)
    assert (shared.id, shared.recipients, held(shared)) == (scene.digest_of(BOB).id, 2, {both, one})
    assert (other.recipients, held(other)) == (1, {both})


def test_a_digest_reduced_to_the_set_of_another_is_that_one(scene: Scene) -> None:
    scene.follow(ANN, "idd", "dementia")
    scene.follow(BOB, "dementia")
    gone, kept = scene.release("Gone", "idd"), scene.release("Kept", "dementia")
    weekly(scene)
    reduced_to = scene.digest_of(BOB).id
    assert scene.digest_of(ANN).id != reduced_to
    publishing.withdraw(gone, reason="wrong", now=scene.now)
    scene.deliver()
    assert scene.digest_of(ANN).id == reduced_to
    assert held(scene.digest_of(ANN)) == {kept}


def test_a_set_of_more_updates_than_a_word_has_bits_has_one_key_and_all_of_them(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    numbers = [scene.release(f"Update {n}", "idd") for n in range(MORE_THAN_A_WORD)]
    weekly(scene)
    digest = scene.digest_of(ANN)
    assert held(digest) == set(numbers)
    assert digest.set_key == digests.set_key(range(1, MORE_THAN_A_WORD + 1), from_seq=0)


def test_a_set_with_updates_from_before_the_edition_has_the_key_that_settling_would_give_it(scene: Scene) -> None:
    scene.follow(ANN, "idd")
    scene.follow(BOB, "idd")
    preferences.pause(scene.preferences_token(ANN), until=None, **scene.at)
    held_back = scene.release("Held back", "idd")
    weekly(scene)
    preferences.resume(scene.preferences_token(ANN), **scene.at)
    new = scene.release("New", "idd")
    weekly(scene)
    for address, updates, numbers in ((ANN, {held_back, new}, [1, 2]), (BOB, {new}, [2])):
        digest = scene.digest_of(address)
        assert held(digest) == updates
        assert digest.set_key == digests.set_key(numbers, from_seq=1)
