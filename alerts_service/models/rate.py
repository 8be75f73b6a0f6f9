"""Rates: how fast the relay, or the servers of a recipient domain, may be sent to."""

from datetime import date, datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from alerts_service.db import Base

RELAY = "relay"


class Rate(Base):
    """The limits of one recipient domain, or of the relay (`RELAY`), shared by all workers on all hosts.

    The turns, the queues and the count of the day move once a batch, not once a message. `slowed_per_second`
    is our own slow-down after a domain asked for one, from `slowed_at` on; it recovers by itself.
    """

    __tablename__ = "rates"

    name: Mapped[str] = mapped_column(String(253), primary_key=True)
    per_second: Mapped[float | None]
    per_day: Mapped[int | None]
    # The factor by which the daily limit grows each day after `ramp_from`.
    ramp: Mapped[float | None]
    ramp_from: Mapped[date | None]
    # The turn of the next message.
    next_at: Mapped[datetime | None]
    # Until when places have been given to the messages that wait for a turn, urgent ones and digests apart.
    urgent_to: Mapped[datetime | None]
    digests_to: Mapped[datetime | None]
    # The day, in the service's zone, and how many turns were given on it.
    counted_on: Mapped[date | None]
    counted: Mapped[int] = mapped_column(default=0, server_default="0")
    slowed_per_second: Mapped[float | None]
    slowed_at: Mapped[datetime | None]
