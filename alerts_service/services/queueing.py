"""The queue: which deliveries stand at its head, and whether they may go out as they were compiled.

Transactional mails come first, then the editions that may go out, urgent ones before others. The queue is read
edition by edition: one that is paused, or held for a later day, costs nothing, however long it is. The statements
are made once, as building one takes longer than running it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, func, null, or_, select
from sqlalchemy.orm import Session, aliased

from alerts_service.db import UTCDateTime, is_postgresql, reading
from alerts_service.models import AT_ONCE, IS_PENDING, Delivery, Digest, Edition, MailKind, Subscriber, Suppression

_D = Delivery.__table__.c
_BEFORE_ALL = AT_ONCE - timedelta(microseconds=1)


class Source(NamedTuple):
    """A part of the queue: the transactional mails, or an edition, as far as it is due."""

    due: datetime
    edition_id: int | None = None
    frequency: str | None = None
    slot_at: datetime | None = None


def sources(session: Session, clock: datetime, *, transactional_only: bool = False) -> Iterator[Source]:
    """Yield the parts of the queue that may go out now, in their order."""
    yield Source(clock)
    if transactional_only:
        return
    for edition in session.execute(_GOING).all():
        # Its seeds are due before all others.
        held = edition.held_until is not None and edition.held_until > clock
        yield Source(_BEFORE_ALL if held else clock, edition.id, edition.frequency, edition.slot_at)


def head(session: Session, source: Source, limit: int, now: datetime) -> list[Row[Any]]:
    """Return the first due deliveries of a part of the queue, locked where the database locks rows.

    The first OWN columns are those of a Claimed, with the number of the claim to come; then follow `lane`,
    `paced` (it has waited for its turn before) and `settled`, which says that nothing has changed since they were made:
    the address is not suppressed, the person has not narrowed what they follow, no update of the digest has lapsed;
    and nobody who has left is welcomed.
    """
    parameters: dict[str, object] = {"due": source.due, "most": limit}
    if source.edition_id is None:
        return list(session.connection().execute(_letters(is_postgresql()), parameters).all())
    parameters |= {"edition": source.edition_id, "now": now}
    return list(session.connection().execute(_digests(is_postgresql()), parameters).all())


def anything_due(clock: datetime) -> bool:
    """Say whether anything could be claimed now: a look without a write, for those who wait."""
    with reading() as session:
        return any(_is_due(session, source) for source in sources(session, clock))


def _is_due(session: Session, source: Source) -> bool:
    statement = _LETTER_DUE if source.edition_id is None else _DIGEST_DUE
    return session.execute(statement, {"due": source.due, "edition": source.edition_id}).first() is not None


_GOING = (
    select(Edition.id, Edition.frequency, Edition.slot_at, Edition.held_until)
    .where(Edition.paused_at.is_(None), Edition.tallied_at.is_(None))
    .order_by(Edition.urgent.desc(), Edition.id)
)
_DUE = (IS_PENDING, _D.due_at <= bindparam("due", type_=UTCDateTime()))
_OF_EDITION = _D.edition_id == bindparam("edition")
_LETTER_DUE = select(_D.id).where(_D.edition_id.is_(None), *_DUE).limit(1)
_DIGEST_DUE = select(_D.id).where(_OF_EDITION, *_DUE).limit(1)
OWN = 10


def _columns(
    address: ColumnElement[Any], details: ColumnElement[Any], settled: ColumnElement[bool]
) -> tuple[ColumnElement[Any], ...]:
    own = (
        _D.id,
        _D.claim_number + 1,
        _D.kind,
        address,
        _D.subscriber_id,
        _D.edition_id,
        _D.digest_id,
        details,
        _D.attempts,
        _D.give_up_at,
    )
    assert len(own) == OWN
    return (*own, _D.lane, _D.paced_at.is_not(None).label("paced"), settled.label("settled"))


@cache
def _letters(locking: bool) -> Select[Any]:
    welcomed = aliased(Subscriber)
    left = select(welcomed.id).where(welcomed.address_hash == _D.address_hash, welcomed.ended_at.is_not(None))
    settled = and_(~_suppressed(_D.address_hash), or_(_D.kind != MailKind.WELCOME, ~left.exists()))
    query = select(*_columns(_D.address, _D.details, settled)).where(_D.edition_id.is_(None))
    return _ordered(query, locking)


@cache
def _digests(locking: bool) -> Select[Any]:
    address = func.coalesce(_D.address, Subscriber.address).label("address")
    now = bindparam("now", type_=UTCDateTime())
    settled = and_(
        ~_suppressed(func.coalesce(_D.address_hash, Subscriber.address_hash)),
        Subscriber.narrowed_at.is_(None),
        or_(Digest.recheck_at.is_(None), Digest.recheck_at > now),
    )
    query = (
        select(*_columns(address, null().label("details"), settled))
        .select_from(Delivery)
        .outerjoin(Subscriber, Subscriber.id == _D.subscriber_id)
        .join(Digest, Digest.id == _D.digest_id)
        .where(_OF_EDITION)
    )
    return _ordered(query, locking)


def _suppressed(address_hash: ColumnElement[Any]) -> ColumnElement[bool]:
    query = select(Suppression.id).where(Suppression.address_hash == address_hash, Suppression.lifted_at.is_(None))
    return query.exists()


def _ordered(query: Select[Any], locking: bool) -> Select[Any]:
    query = query.where(*_DUE).order_by(_D.due_at, _D.id).limit(bindparam("most"))
    return query.with_for_update(of=Delivery, skip_locked=True) if locking else query
