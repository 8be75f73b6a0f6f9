"""An installation to play with: people by name, topics by letter, a clock that goes where it is told.

Everything goes through the services; only looking at the ledger reads the tables.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, text, update

from alerts_service.config import Settings
from alerts_service.db import Base, db, transaction
from alerts_service.models import (
    CoveredFrequency,
    Delivery,
    DeliveryState,
    Digest,
    Edition,
    SignUp,
    Subscriber,
    Topic,
    Turnstile,
    Update,
)
from alerts_service.rules import tokens
from alerts_service.rules.announcements import NewUpdate
from alerts_service.services import (
    claiming,
    compiling,
    editions,
    explaining,
    following,
    goodbyes,
    leaving,
    outbox,
    people,
    preferences,
    proving,
    publishing,
    settling,
    steering,
    subscribing,
    suppressing,
    tallying,
)
from alerts_service.services.claiming import Claimed
from alerts_service.services.outbox import Outcome
from tests.conftest import START
from tests.matching.model import Line

TOPICS = ("a", "b", "c")
_KEPT = {"categories", "topics", "facts", "turnstile", "frequencies"}


@dataclass
class World:
    """One installation. `now` may go back; `real`, the clock of leases and retries, only forward."""

    settings: Settings
    topics: dict[str, int] = field(default_factory=dict)
    slugs: dict[str, str] = field(default_factory=dict)
    now: datetime = START
    real: datetime = START

    def __post_init__(self) -> None:
        rows = db.session.execute(select(Topic.id, Topic.slug).order_by(Topic.position).limit(len(TOPICS))).all()
        self.topics = {letter: row.id for letter, row in zip(TOPICS, rows, strict=True)}
        self.slugs = {letter: row.slug for letter, row in zip(TOPICS, rows, strict=True)}
        db.session.rollback()

    def forget(self) -> None:
        """Begin anew: as the installation was when it was made."""
        self.now = self.real = START
        db.session.remove()
        with transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                if table.name not in _KEPT:
                    session.execute(delete(table))
            session.execute(update(Turnstile).values(release_seq=0))
            session.execute(update(CoveredFrequency).values(covered_seq=0, since=START))

    # Time

    def advance(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span
        self.real += span

    # People

    def confirm(self, name: str, topics: Sequence[str], frequency: str, locale: str = "en") -> int:
        """Sign up and press the button; return the subscriber's id. The cap on confirmation mails is passed by."""
        address = address_of(name)
        with transaction() as session:
            sign_up = SignUp(
                address=address,
                address_hash=people.hash_of(address, self.settings),
                mailbox_hash="0",
                frequency=frequency,
                locale=locale,
                requested_at=self.now,
                expires_at=self.now + tokens.LINK_LIFETIME,
                topics=list(session.scalars(select(Topic).where(Topic.id.in_([self.topics[t] for t in topics])))),
            )
            session.add(sign_up)
            session.flush()
            token = tokens.confirm_token(self.settings.secret_keys, sign_up.id, self.now)
        subscribing.confirm(token, wording="", page="/", network="", settings=self.settings, now=self.now)
        return self.id_of(name)

    def id_of(self, name: str) -> int:
        """Return the subscriber's id."""
        return db.session.scalars(select(Subscriber.id).where(Subscriber.address == address_of(name))).one()

    def choose(self, name: str, topics: Sequence[str], frequency: str | None = None, locale: str = "en") -> None:
        """Send the preferences form."""
        preferences.change(
            self._preferences(name),
            topics=[self.slugs[topic] for topic in topics],
            frequency=frequency,
            locale=locale,
            page="/",
            network="",
            settings=self.settings,
            now=self.now,
        )

    def change_one(self, name: str, topic: str, frequency: str) -> None:
        """Change the frequency of one topic only: a step that the form for all of them is made of."""
        with self.changing(name, topic, frequency):
            pass

    @contextmanager
    def changing(self, name: str, topic: str, frequency: str) -> Iterator[None]:
        """Change the frequency of one topic; until the block ends, nobody else can see it."""
        with transaction() as session:
            subscriber = session.get_one(Subscriber, self.id_of(name))
            people.lock(session, subscriber)
            row = following.followed(session, subscriber)[self.topics[topic]]
            following.change_frequency(session, row, frequency, self.now)
            yield

    def leave_in_preferences(self, name: str) -> None:
        """Press “leave all” on the preferences page."""
        token = self._preferences(name)
        preferences.leave_all(token, page="/", network="", settings=self.settings, now=self.now)

    def leave(self, name: str, digest_id: int = 0, *, only_these: bool = False) -> None:
        """Follow the unsubscribe link of a digest."""
        assert self.settings.permanent_key
        token = tokens.unsubscribe_token(self.settings.permanent_key, self.id_of(name), digest_id)
        leaving.leave(token, only_these=only_these, page="/", network="", settings=self.settings, now=self.now)

    def undo(self, name: str) -> None:
        """Press the button behind the link in the goodbye."""
        ended_at = db.session.scalars(select(Subscriber.ended_at).where(Subscriber.address == address_of(name))).one()
        assert ended_at
        token = tokens.undo_token(self.settings.secret_keys, self.id_of(name), ended_at)
        goodbyes.undo(token, wording="", page="/", network="", settings=self.settings, now=ended_at)

    def pause(self, name: str, span: timedelta | None = None) -> None:
        """Pause, for a while or until further notice."""
        until = None if span is None else self.now + span
        preferences.pause(self._preferences(name), until=until, settings=self.settings, now=self.now)

    def resume(self, name: str) -> None:
        """End a pause."""
        preferences.resume(self._preferences(name), settings=self.settings, now=self.now)

    def suppress(self, name: str, reason: str = suppressing.OPERATOR) -> None:
        """Stop all mail to a person."""
        suppressing.suppress(address_of(name), reason, "", settings=self.settings, now=self.now)

    def lift(self, name: str) -> None:
        """Let mail go to a person again."""
        suppressing.lift(address_of(name), "", settings=self.settings, now=self.now)

    def _preferences(self, name: str) -> str:
        return tokens.preferences_token(self.settings.secret_keys[0], self.id_of(name), self.now)

    # Updates

    def add(self, topics: Sequence[str], *, approve: bool = True, **fields: Any) -> int:
        """Queue an update; approved and without `release_at` it is released at once."""
        new = NewUpdate(title="News", topics=tuple(self.slugs[topic] for topic in topics), **fields)
        return publishing.add(new, approve=approve, settings=self.settings, now=self.now).id

    def withdraw(self, update_id: int) -> None:
        """Take an update back."""
        publishing.withdraw(update_id, reason="", now=self.now)

    # Editions

    def tick(self) -> editions.Opened:
        """Let the scheduler's timer go off."""
        return editions.open_due(settings=self.settings, now=self.now)

    def tick_without_compile(self) -> None:
        """Let the timer go off in a scheduler that dies when it has opened, before it compiles."""
        publishing.release_due(now=self.now)
        editions._open(self.settings, self.now)

    def compile(self, people_a_batch: int) -> tuple[bool, int]:
        """Do one batch of the oldest uncompiled edition."""
        return compiling.compile_next(self.now, people_a_batch)

    def cancel(self, edition_id: int, batch: int = 1000) -> int | None:
        """End an edition."""
        return steering.cancel(edition_id, reason="", now=self.now, batch=batch)

    def pause_edition(self, edition_id: int) -> None:
        """Hold an edition."""
        editions.pause(edition_id, reason="", now=self.now)

    def resume_edition(self, edition_id: int) -> None:
        """Let an edition go on."""
        editions.resume(edition_id)

    def finish_cancelling(self) -> int:
        """Let the scheduler end what is left of cancelled editions."""
        return steering.finish_cancelling()

    def retry_failed(self, edition_id: int) -> int:
        """Try an edition's failed deliveries again."""
        return steering.retry_failed(edition_id, now=self.now)

    def tally(self) -> int:
        """Let the scheduler count what has ended."""
        return tallying.tally_finished(self.now)

    # Deliveries

    def claim(self, worker: str = "worker", limit: int = 1000) -> list[Claimed]:
        """Claim what is due and settle what was passed over; return what is to be sent."""
        claim = self.claim_only(worker, limit)
        settling.settle(claim.unsettled, now=self.now)
        return claim.deliveries

    def claim_only(self, worker: str = "worker", limit: int = 1000) -> claiming.Claim:
        """Claim what is due."""
        return claiming.claim(worker, limit, settings=self.settings, now=self.now, clock=self.real)

    def record(self, delivery: Claimed, state: DeliveryState, worker: str = "worker") -> int:
        """Write down what became of a delivery; a pending one was refused for now and waits a minute."""
        due_at = self.real + timedelta(minutes=1) if state is DeliveryState.PENDING else None
        return outbox.record(worker, [Outcome(delivery, state, due_at=due_at)], clock=self.real)

    def record_all(self, deliveries: Sequence[Claimed], worker: str = "worker") -> None:
        """Write down that all were sent."""
        outbox.record(worker, [Outcome(delivery, DeliveryState.SENT) for delivery in deliveries], clock=self.real)

    def take_back(self) -> None:
        """Return stale claims to the queue."""
        outbox.take_back(self.real)

    def deliver(self) -> None:
        """Send all that is due, and see that it comes to an end."""
        for _ in range(100):
            claim = self.claim_only()
            settling.settle(claim.unsettled, now=self.now)
            if not claim.deliveries and not claim.unsettled:
                return
            self.record_all(claim.deliveries)
        raise AssertionError("the outbox does not come to an end")

    # Looking

    def ledger(self) -> dict[int, Line]:
        """Return every digest's delivery."""
        rows = db.session.execute(_LEDGER).all()
        db.session.rollback()
        found: dict[int, Line] = {}
        for row in rows:
            held = found[row.id].holds if row.id in found else frozenset()
            holds = held | ({row.update_id} if row.update_id is not None else frozenset())
            found[row.id] = Line(row.id, row.subscriber_id, row.edition_id, row.state, row.reason, holds)
        return found

    def got(self, name: str, *, state: str | None = None) -> list[set[int]]:
        """Return what each live delivery of a person holds, oldest first."""
        person = self.id_of(name)
        lines = sorted(self.ledger().values(), key=lambda line: line.id)
        wanted = {state} if state else {"pending", "sending", "sent", "failed"}
        return [set(line.holds) for line in lines if line.person == person and line.state in wanted]

    def digest_of(self, delivery_id: int) -> int:
        """Return the digest that a delivery carries now."""
        return db.session.scalars(select(Delivery.digest_id).where(Delivery.id == delivery_id)).one() or 0

    def locale_of(self, delivery_id: int) -> str:
        """Return the language of the digest that a delivery carries now."""
        query = select(Digest.locale).join(Delivery, Delivery.digest_id == Digest.id)
        return str(db.session.scalars(query.where(Delivery.id == delivery_id)).one())

    def frequency_of(self, delivery_id: int) -> str:
        """Return the frequency of the edition that a delivery belongs to."""
        query = select(Edition.frequency).join(Delivery, Delivery.edition_id == Edition.id)
        return str(db.session.scalars(query.where(Delivery.id == delivery_id)).one())

    def released_since(self, count: int) -> list[tuple[int, int]]:
        """Return (update, number) of what was released after a number."""
        rows = db.session.execute(select(Update.id, Update.seq).where(Update.seq > count).order_by(Update.seq)).all()
        return [(row.id, row.seq or 0) for row in rows]

    def editions_since(self, edition_id: int) -> list[Edition]:
        """Return the editions with a higher number."""
        query = select(Edition).where(Edition.id > edition_id).order_by(Edition.id)
        return list(db.session.scalars(query.execution_options(populate_existing=True)))

    def edition(self, edition_id: int) -> Edition:
        """Return one edition as it is now."""
        return db.session.get_one(Edition, edition_id, populate_existing=True)

    def issued(self) -> list[tuple[str, datetime]]:
        """Return frequency and slot of every edition, by number."""
        rows = db.session.execute(select(Edition.frequency, Edition.slot_at).order_by(Edition.id)).all()
        return [(row.frequency, row.slot_at) for row in rows]

    def marks(self) -> list[tuple[int, int, int, int]]:
        """Return (person, topic, since, mark) of every open subscription."""
        rows = db.session.execute(_MARKS).all()
        db.session.rollback()
        return [(row.subscriber_id, row.topic_id, row.since_seq, row.mark) for row in rows]

    def proof(self, update_id: int) -> dict[str, Any]:
        """Return the proof of an update, and hold the tallies to it."""
        found = proving.proof(update_id, now=self.now)
        recounted = proving.proof(update_id, now=self.now, recount=True)
        assert recounted == found | {"tallies_agree": True}
        return found

    def explain(self, name: str, update_id: int) -> str:
        """Return why a person did, or did not, get an update, as a key."""
        found = explaining.explain(address_of(name), update_id, settings=self.settings, now=self.now)
        db.session.rollback()
        return str(found["answer"])


_LEDGER = text(
    "SELECT d.id, d.subscriber_id, d.edition_id, d.state, d.reason, u.update_id FROM deliveries d"
    " LEFT JOIN digest_updates u ON u.digest_id = d.digest_id WHERE d.edition_id IS NOT NULL"
)
_MARKS = text(
    "SELECT s.subscriber_id, s.topic_id, s.since_seq, coalesce(c.from_seq, f.covered_seq) AS mark"
    " FROM subscriptions s JOIN frequencies f ON f.frequency = s.frequency"
    " LEFT JOIN catch_ups c ON c.subscription_id = s.id WHERE s.ended_at IS NULL"
)


def address_of(name: str) -> str:
    """Return a person's address."""
    return f"{name}@example.org"
