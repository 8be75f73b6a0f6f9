"""A short way to bring an installation into a state, through its services only."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app
from sqlalchemy import func, select, text

from alerts_service.config import Settings
from alerts_service.db import Base, db, is_postgresql
from alerts_service.models import Delivery, Digest, SignUp, Subscriber
from alerts_service.rules import tokens
from alerts_service.rules.announcements import NewUpdate
from alerts_service.services import editions, leaving, people, publishing, subscribing, suppressing
from alerts_service.services.subscribing import Asked
from scheduler import delivering
from scheduler.running import Counts

WORDS = "I want these e-alerts and can leave at any time."
# Slots of the default schedule after conftest's START, in New York's winter time: 09:00 is 14:00 UTC.
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Scene:
    """An installation with the default catalogue, and the moment it is at."""

    settings: Settings
    now: datetime

    @property
    def at(self) -> dict[str, Any]:
        """What most services ask for."""
        return {"settings": self.settings, "now": self.now}

    def ask(self, address: str, *topics: str, frequency: str = "weekly", **changes: str) -> None:
        """Fill in the sign-up form."""
        form = {"locale": "en", "source": "", "page": "/", "wording": WORDS, "network": "192.0.2.1"} | changes
        subscribing.ask(Asked(address, topics or ("idd",), frequency, **form), **self.at)

    def sign_up_id(self, address: str) -> int:
        """The newest sign-up of an address."""
        query = select(SignUp.id).where(SignUp.address == address).order_by(SignUp.id.desc()).limit(1)
        return db.session.scalars(query).one()

    def confirm_token(self, address: str) -> str:
        """The link in the newest confirmation mail."""
        return tokens.confirm_token(self.settings.secret_keys, self.sign_up_id(address), self.now)

    def confirm(self, token: str) -> subscribing.SignUpSeen:
        """Press the button behind a confirmation link."""
        return subscribing.confirm(token, wording=WORDS, page="/confirm", network="192.0.2.1", **self.at)

    def follow(self, address: str, *topics: str, frequency: str = "weekly", **changes: str) -> int:
        """Sign up and confirm; return the subscriber's id."""
        self.ask(address, *topics, frequency=frequency, **changes)
        self.confirm(self.confirm_token(address))
        return self.subscriber(address).id

    def subscriber(self, address: str) -> Subscriber:
        """The person, as the database has them now."""
        db.session.rollback()
        return db.session.scalars(select(Subscriber).where(Subscriber.address == address)).one()

    def preferences_token(self, address: str) -> str:
        """The link to somebody's preferences."""
        return tokens.preferences_token(self.settings.secret_keys[0], self.subscriber(address).id, self.now)

    def unsubscribe_token(self, address: str, digest_id: int = 0) -> str:
        """The link by which somebody leaves."""
        assert self.settings.permanent_key
        return tokens.unsubscribe_token(self.settings.permanent_key, self.subscriber(address).id, digest_id)

    def leave(self, address: str, *, digest_id: int = 0, only_these: bool = False) -> None:
        """Leave by link."""
        token = self.unsubscribe_token(address, digest_id)
        leaving.leave(token, only_these=only_these, page="/unsubscribe", network="", **self.at)

    def suppress(self, address: str, reason: str = suppressing.OPERATOR) -> None:
        """Stop all mail to an address."""
        suppressing.suppress(address, reason, "", **self.at)

    def release(self, title: str, *topics: str, approve: bool = True, **fields: Any) -> int:
        """Queue an update and release it."""
        new = NewUpdate(title=title, topics=topics or ("idd",), **fields)
        return publishing.add(new, approve=approve, **self.at).id

    def tick(self, after: timedelta = timedelta(0)) -> editions.Opened:
        """Let time pass, then do what the scheduler does each minute."""
        self.now += after
        return editions.open_due(**self.at)

    def tick_at(self, hour: int, *, days: int = 0) -> editions.Opened:
        """Tick half a minute after an hour (UTC) of the day it is, or of one later."""
        self.now = (self.now + days * DAY).replace(hour=hour, minute=0, second=30)
        return editions.open_due(**self.at)

    def deliver(self, **options: Any) -> Counts:
        """Send what is due, over one connection: one message after the other."""
        return delivering.deliver(self.settings, lambda: self.now, **{"drain": True, "connections": 1} | options)

    def deliveries(self, kind: str | None = None) -> list[Delivery]:
        """The deliveries as they stand, oldest first."""
        db.session.rollback()
        query = select(Delivery).order_by(Delivery.id)
        return list(db.session.scalars(query if kind is None else query.where(Delivery.kind == kind)))

    def digest_of(self, address: str) -> Digest:
        """The newest digest matched to somebody."""
        query = select(Digest).join(Delivery, Delivery.digest_id == Digest.id)
        query = query.where(Delivery.subscriber_id == self.subscriber(address).id).order_by(Digest.id.desc())
        return db.session.scalars(query.limit(1)).one()

    def address_hash(self, address: str) -> str:
        """The keyed hash of an address."""
        return people.hash_of(address.casefold(), self.settings)


def rows() -> dict[str, int]:
    """How many rows every table has: to see that nothing, or only this, was written."""
    db.session.rollback()
    tables = Base.metadata.sorted_tables
    return {table.name: db.session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def no_room_for_deliveries() -> contextlib.AbstractContextManager[None]:
    """Make every new delivery fail, as a full disk would."""
    return no_room_in("deliveries")


@contextlib.contextmanager
def no_room_in(table: str) -> Iterator[None]:
    """Make every new row of a table fail."""
    function = "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$"
    trigger = f"CREATE TRIGGER refused BEFORE INSERT ON {table}"
    if is_postgresql():
        made, undone = (
            [function, f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()"],
            f"DROP TRIGGER refused ON {table}",
        )
    else:
        made, undone = [f"{trigger} BEGIN SELECT RAISE(ABORT, 'full'); END"], "DROP TRIGGER refused"
    _change_schema(made)
    try:
        yield
    finally:
        _change_schema([undone])


def _change_schema(statements: list[str]) -> None:
    db.session.rollback()  # an open transaction would be waited for
    with db.engine.connect().execution_options(writes=True) as connection, connection.begin():
        for statement in statements:
            connection.execute(text(statement))


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls from a thread each, all starting together; return what they returned or raised."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    found: list[Any] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(place: int, call: Callable[[], Any]) -> None:
        with app.app_context():
            barrier.wait()
            try:
                found[place] = call()
            except Exception as error:
                found[place] = error

    db.session.rollback()
    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
