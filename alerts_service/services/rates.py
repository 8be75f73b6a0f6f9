"""Rates: how fast the relay and the servers of each recipient domain are sent to, over all workers on all hosts.

A claim asks once for its batch (`admit`, then `postpone`, in its own transaction), so that a row of `rates` moves
once a batch and not once a message. Rows are locked in the order of their names. `clock` is the real time:
a rehearsal does not move it. The arithmetic is in rules/pacing.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from sqlalchemy import Row, bindparam, delete, select, text, update
from sqlalchemy.orm import Session

from alerts_service.batches import rows
from alerts_service.config import Settings
from alerts_service.db import as_stored, is_postgresql, reading, transaction, upsert
from alerts_service.errors import AddressRefused, RateRefused
from alerts_service.models import IS_PENDING, RELAY, Delivery, Rate
from alerts_service.rules import addresses, pacing
from alerts_service.rules.pacing import Limit, Quota, Slowed, Waiting

BATCH_DELIVERIES = 5000
_RATES = Rate.metadata.tables[Rate.__tablename__]
_R = _RATES.c


class Limits(TypedDict, total=False):
    """The limits that are to change: a number, or None for none. What is not named stays."""

    per_second: float | None
    per_day: int | None
    ramp: float | None


@dataclass(frozen=True)
class Admitted:
    """A batch, parted: ids that go now, and the moment at which each of the others asks again."""

    now: list[int] = field(default_factory=list)
    later: dict[int, datetime] = field(default_factory=dict)


def are_limited(session: Session, settings: Settings) -> bool:
    """Say whether there is any limit at all, for any domain or the relay: where none is, nobody need ask."""
    return bool(settings.smtp_rate) or session.connection().execute(_ANY).first() is not None


_ANY = select(_R.name).limit(1)


def admit(session: Session, waiting: Sequence[Waiting], *, settings: Settings, clock: datetime) -> Admitted:
    """Say which of a batch of due deliveries may go now. Turns taken stand when the caller commits."""
    found = _locked(session, {one.domain for one in waiting}, settings)
    if not found:
        return Admitted([one.id for one in waiting])
    at = clock.timestamp()
    limits = {row.name: _limit(row, settings) for row in found}
    void = [name for name, limit in limits.items() if not limit.limits(at)]
    for name in void:
        del limits[name]
    for limit in limits.values():
        limit.begin(at)
    now, later = pacing.admit(waiting, limits, limits.get(RELAY), at)
    _keep(session, limits, void)
    return Admitted(now, {one: _moment(place) for one, place in later.items()})


def postpone(session: Session, later: Mapping[int, datetime]) -> None:
    """Put deliveries off until they ask again, in one statement."""
    if not later:
        return
    places = json.dumps([{"id": one, "place": as_stored(moment)} for one, moment in later.items()])
    session.execute(text(_POSTPONE.format(places=rows("places", id="bigint", place="timestamptz"))), {"places": places})


_POSTPONE = """
UPDATE deliveries SET due_at = places.place, paced_at = places.place
FROM {places} WHERE deliveries.id = places.id"""


def slow_down(domain: str, *, clock: datetime) -> None:
    """A domain has asked us to send more slowly (421 or 4.7.x at RCPT or DATA). It recovers by itself."""
    at = clock.timestamp()
    with reading() as session:
        row = session.execute(select(_RATES).where(_R.name == domain)).first()
        if row is not None and (slowed := _slowed(row)) and pacing.slower(slowed, row.per_second, at) == slowed:
            return  # as it is for most of a batch that is refused: nothing to write
    with transaction() as session:
        row = _made(session, domain)
        slowed = pacing.slower(_slowed(row), row.per_second, at)
        values = {"slowed_per_second": slowed.per_second, "slowed_at": _moment(slowed.since)}
        session.execute(update(_RATES).where(_R.name == domain).values(**values))


def set_limits(name: str, limits: Limits, *, settings: Settings, clock: datetime) -> str:
    """Set or clear limits of a domain or of the relay, and let everything that waits ask again. Return the name kept.

    A share of the day that is set anew begins to grow today. Raises RateRefused.
    """
    name = _name(name)
    with transaction() as session:
        row = _made(session, name)
        values: dict[str, Any] = {key: getattr(row, key) for key in Limits.__annotations__} | limits
        if limits.get("per_day", ...) is None:
            values["ramp"] = limits.get("ramp")
        _check(values)
        if limits.keys() & {"per_day", "ramp"}:
            values["ramp_from"] = clock.astimezone(settings.timezone).date()
        if "per_second" in limits:
            values["next_at"] = None  # which may lie far ahead, by a rate that was low
        session.execute(update(_RATES).where(_R.name == name).values(**values))
        session.execute(delete(_RATES).where(_R.name == name, _R.slowed_at.is_(None), *_UNSET))
    look_again(clock=clock)
    return name


_UNSET = (_R.per_second.is_(None), _R.per_day.is_(None))


def look_again(*, clock: datetime) -> int:
    """Let every delivery that waits for a turn ask again now; return how many. For what frees turns all at once."""
    with transaction() as session:
        in_order = select(_R.name).order_by(_R.name)
        names = list(session.scalars(in_order.with_for_update() if is_postgresql() else in_order))
        session.execute(update(_RATES).where(_R.name.in_(names)).values(urgent_to=None, digests_to=None))
    total = 0
    while put_back := _put_back(clock):
        total += put_back
    return total


def _put_back(clock: datetime) -> int:
    which = (
        select(Delivery.id)
        .where(IS_PENDING, Delivery.due_at > clock, Delivery.paced_at > clock)
        .limit(BATCH_DELIVERIES)
    )
    if is_postgresql():
        which = which.with_for_update(skip_locked=True)
    with transaction() as session:
        values = {"due_at": clock, "paced_at": None}
        statement = update(Delivery).where(Delivery.id.in_(which)).values(**values)
        result = session.execute(statement.execution_options(synchronize_session=False))
        return int(result.rowcount)  # type: ignore[attr-defined]


def listing(*, settings: Settings, clock: datetime) -> list[dict[str, Any]]:
    """Return every limit: as set, what it comes to at this moment, and what was counted today."""
    with reading() as session:
        found = session.execute(select(_RATES).order_by(_R.name)).all()
    return [_listed(row, settings, clock) for row in found]


def _listed(row: Row[Any], settings: Settings, clock: datetime) -> dict[str, Any]:
    limit = _limit(row, settings)
    at = clock.timestamp()
    limit.begin(at)
    slowed = limit.slowed.at(at) if limit.slowed else None
    return {
        "name": row.name,
        "per_second": limit.per_second,
        "per_day": row.per_day,
        "ramp": row.ramp,
        "today": limit.quota.of(limit.quota.day(at)) if limit.quota else None,
        "sent_today": limit.counted if limit.quota else None,
        "slowed_per_second": round(slowed, 3) if slowed else None,
    }


def _locked(session: Session, names: set[str], settings: Settings) -> Sequence[Row[Any]]:
    """Return the rows of these domains and of the relay, nobody else's until the transaction ends."""
    if settings.smtp_rate:
        # Before any row is locked, so that it is made in the same place of the order by everybody.
        session.execute(upsert(Rate).values(name=RELAY).on_conflict_do_nothing())
    statement = _AMONG_POSTGRESQL if is_postgresql() else _AMONG_SQLITE
    return session.execute(statement, {"names": json.dumps([RELAY, *names])}).all()


# One parameter, so that neither the text nor its plan depends on how many domains a batch holds. Columns are named,
# as an upgrade may add one while a worker runs.
_SELECT = f"SELECT {', '.join(column.name for column in _R)} FROM rates"  # noqa: S608 - names of our own
_AMONG_POSTGRESQL = text(
    f"{_SELECT} WHERE name = ANY(ARRAY(SELECT json_array_elements_text(CAST(:names AS json)))) ORDER BY name FOR UPDATE"
).columns(*_R)
_AMONG_SQLITE = text(f"{_SELECT} WHERE name IN (SELECT value FROM json_each(:names))").columns(*_R)  # noqa: S608


def _made(session: Session, name: str) -> Row[Any]:
    """Return the row of a name, made where there is none, nobody else's until the transaction ends."""
    insert = upsert(Rate).values(name=name)
    unchanged = insert.on_conflict_do_update(index_elements=[_R.name], set_={"name": insert.excluded.name})
    return session.execute(unchanged.returning(*_R)).one()


def _keep(session: Session, limits: Mapping[str, Limit], void: Sequence[str]) -> None:
    if void:
        session.execute(delete(_RATES).where(_R.name.in_(void)))
    moved = [
        {
            "key": name,
            "turn": _moment(limit.next_at),
            "urgent": _moment(limit.queued[pacing.URGENT]),
            "digests": _moment(limit.queued[pacing.DIGEST]),
            "day": limit.counted_on,
            "number": limit.counted,
        }
        for name, limit in limits.items()
    ]
    if moved:
        session.execute(_MOVED, moved)


_MOVED = (
    update(_RATES)
    .where(_R.name == bindparam("key"))
    .values(
        next_at=bindparam("turn"),
        urgent_to=bindparam("urgent"),
        digests_to=bindparam("digests"),
        counted_on=bindparam("day"),
        counted=bindparam("number"),
    )
)


def _limit(row: Row[Any], settings: Settings) -> Limit:
    quota = None
    if row.per_day is not None:
        quota = Quota(row.per_day, row.ramp, row.ramp_from, settings.timezone)
    return Limit(
        per_second=row.per_second or (settings.smtp_rate if row.name == RELAY else None) or None,
        quota=quota,
        slowed=_slowed(row),
        next_at=_seconds(row.next_at),
        queued=[0.0, _seconds(row.urgent_to), _seconds(row.digests_to)],
        counted_on=row.counted_on,
        counted=row.counted,
    )


def _slowed(row: Row[Any]) -> Slowed | None:
    return Slowed(row.slowed_per_second, row.slowed_at.timestamp()) if row.slowed_at else None


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _name(text: str) -> str:
    """Read a domain, as it stands in addresses (A-labels), or the relay's name."""
    found = text.strip().casefold()
    if found == RELAY:
        return RELAY
    try:
        if "@" in found:
            raise RateRefused(reason=f"“{text}” is not a domain like example.org, nor “{RELAY}”.")
        return addresses.parse(f"postmaster@{found}").address.rpartition("@")[2]
    except AddressRefused as error:
        reason = error.values["reason"]
        raise RateRefused(reason=f"“{text}” is not a domain like example.org, nor “{RELAY}”. {reason}") from None


def _check(values: Mapping[str, Any]) -> None:
    """Refuse what cannot be used, in words."""
    for key, (least, most, words) in _RANGES.items():
        value = values[key]
        if value is not None and not least <= value <= most:
            raise RateRefused(reason=words)
    if values["ramp"] is not None and values["per_day"] is None:
        raise RateRefused(reason="only a limit per day can grow; give that, too.")


_RANGES = {
    "per_second": (1 / 86_400, 100_000, "per second, from one a day (0.00002) to 100,000 can be sent."),
    "per_day": (1, 1_000_000_000, "per day, from 1 to 1,000,000,000 can be sent."),
    "ramp": (1, 10, "the factor of daily growth is from 1 to 10."),
}
