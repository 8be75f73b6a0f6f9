"""A small sender behind the fence: it claims, notes, keeps what it sends, and records."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, select, text, update

from alerts_service.config import Settings
from alerts_service.db import Base, db, is_postgresql, transaction
from alerts_service.models import Delivery, DeliveryState, DigestUpdate, Edition, Subscriber
from alerts_service.services import fencing, mailing


@dataclass(frozen=True)
class Taken:
    """A claimed delivery."""

    id: int
    kind: str
    address: str
    subscriber_id: int | None
    digest_id: int | None
    frequency: str | None
    slot_at: datetime | None


@dataclass
class Sender:
    """One worker. `sent` survives whatever happens to the database: (address, update or letter's kind)."""

    settings: Settings
    clock: datetime
    sent: list[tuple[str, object]] = field(default_factory=list)
    message_ids: list[str] = field(default_factory=list)

    def round(self, limit: int = 500, *, record: bool = True) -> int:
        """Claim, note, send and record up to `limit` deliveries. Raises SendingHeld."""
        self.clock += timedelta(seconds=1)
        with fencing.turn(self.settings) as fence:
            with transaction() as session:
                taken = self._claim(session, limit)
                if taken:
                    fence.renew(session, taken, clock=self.clock)
            ids = [self._message_id(delivery) for delivery in taken]
            fence.note(ids)
        contents = self._contents(taken)
        for delivery, message_id in zip(taken, ids, strict=True):
            self.message_ids.append(message_id)
            self.sent += [(delivery.address, each) for each in contents.get(delivery.digest_id, [delivery.kind])]
        if record:
            self.record([delivery.id for delivery in taken])
        return len(taken)

    def record(self, ids: list[int]) -> None:
        """Write into the ledger that deliveries were sent."""
        with transaction() as session:
            values = {"state": DeliveryState.SENT, "sent_at": self.clock, "lease_until": None}
            session.execute(update(Delivery).where(Delivery.id.in_(ids)).values(**values))

    def drain(self) -> None:
        """Send until nothing is left."""
        while self.round():
            pass

    def idle(self, times: int = 1, settings: Settings | None = None) -> None:
        """Renew, ten seconds apart."""
        for _ in range(times):
            self.clock += fencing.RENEW_EVERY
            fencing.idle(settings or self.settings, clock=self.clock)

    def held(self, settings: Settings | None = None) -> str | None:
        """Why nothing is sent."""
        return fencing.held(db.session(), settings or self.settings)

    def _claim(self, session, limit: int) -> list[Taken]:
        query = (
            select(Delivery.id, Delivery.kind, Delivery.subscriber_id, Delivery.digest_id)
            .add_columns(db.func.coalesce(Delivery.address, Subscriber.address).label("address"))
            .add_columns(Edition.frequency, Edition.slot_at)
            .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
            .outerjoin(Edition, Edition.id == Delivery.edition_id)
            .where(Delivery.state == DeliveryState.PENDING)
            .order_by(Delivery.id)
            .limit(limit)
        )
        taken = [Taken(**row) for row in session.execute(query).mappings()]
        values = {
            "state": DeliveryState.SENDING,
            "claim_number": Delivery.claim_number + 1,
            "lease_until": self.clock + timedelta(minutes=15),
        }
        session.execute(update(Delivery).where(Delivery.id.in_([d.id for d in taken])).values(**values))
        return taken

    def _message_id(self, delivery: Taken) -> str:
        return mailing.message_id(
            delivery_id=delivery.id,
            kind=delivery.kind,
            address=delivery.address,
            frequency=delivery.frequency,
            slot_at=delivery.slot_at,
            domain="care.example.org",
            settings=self.settings,
            seed=delivery.subscriber_id is None,
        )

    def _contents(self, taken: list[Taken]) -> dict[int | None, list[object]]:
        found: dict[int | None, list[object]] = {}
        ids = {delivery.digest_id for delivery in taken}
        query = select(DigestUpdate.digest_id, DigestUpdate.update_id).where(DigestUpdate.digest_id.in_(ids))
        for digest, held in db.session.execute(query):
            found.setdefault(digest, []).append(held)
        db.session.rollback()
        return found


def copy_of(settings: Settings, folder: Path) -> Callable[[], None]:
    """Copy the database as it is now; return what puts the copy back in its place."""
    db.session.rollback()
    if not is_postgresql():
        return _copy_of_sqlite(db.engine.url.database or "", folder / "copy.db")
    engine = create_engine(settings.database_url)
    tables = [table.name for table in Base.metadata.sorted_tables]
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS copied CASCADE"))
        connection.execute(text("CREATE SCHEMA copied"))
        for table in tables:
            connection.execute(text(f"CREATE TABLE copied.{table} AS SELECT * FROM public.{table}"))
        names = connection.scalars(text("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")).all()
        counted = {name: connection.execute(text(f"SELECT last_value, is_called FROM {name}")).one() for name in names}
    engine.dispose()

    def restore() -> None:
        db.session.remove()
        with engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            for table in tables:
                connection.execute(text(f"DELETE FROM public.{table}"))
                connection.execute(text(f"INSERT INTO public.{table} SELECT * FROM copied.{table}"))
            for name, (value, called) in counted.items():
                connection.execute(text(f"SELECT setval('{name}', {value}, {called})"))
            connection.execute(text("DROP SCHEMA copied CASCADE"))
        engine.dispose()

    return restore


def _copy_of_sqlite(path: str, copy: Path) -> Callable[[], None]:
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()

    def restore() -> None:
        db.session.remove()
        db.engine.dispose()
        for ending in ("-wal", "-shm"):
            Path(path + ending).unlink(missing_ok=True)
        shutil.copy(copy, path)

    return restore
