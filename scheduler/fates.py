"""What the fate of a message means for its delivery: the record to write, and what else is to be done.

The meanings of replies are rules.replies'; here they meet the delivery: who is tried again, and when.
"""

import random
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts_service.config import Settings
from alerts_service.mail.dialogue import Broken
from alerts_service.models import DeliveryState
from alerts_service.rules import replies, retries
from alerts_service.rules.replies import Meaning, Reply, Stage
from alerts_service.services.claiming import Claimed
from alerts_service.services.outbox import Outcome

_AFTER_CLOSING = timedelta(seconds=1)
# Long enough not to be the next to break the same connection.
_AFTER_A_BREAK = timedelta(seconds=5)


class Fate(NamedTuple):
    """The record, and what follows from it for others than this delivery."""

    outcome: Outcome
    # The address does not exist: nothing more is to be sent there.
    address_is_dead: bool = False
    # The relay refuses us or our words: every other message of the edition would meet the same.
    we_are_refused: bool = False
    # The recipient's server asks us to slow down.
    slow_down: bool = False


def of(delivery: Claimed, fate: Reply | Broken, *, settings: Settings, clock: datetime, chance: random.Random) -> Fate:
    """Return what to record of one try. `clock` is the real time."""
    if isinstance(fate, Broken):
        return _broken(delivery, fate, settings, clock, chance)
    meaning = replies.meaning(fate)
    if meaning is Meaning.SENT:
        return Fate(Outcome(delivery, DeliveryState.SENT, str(fate), sent_at=clock))
    slow_down = fate.stage in {Stage.RCPT, Stage.DATA} and asks_to_slow_down(fate)
    match meaning:
        case Meaning.REQUEUE:
            return Fate(_waits(delivery, str(fate), clock + _AFTER_CLOSING), slow_down=slow_down)
        case Meaning.WE_ARE_REFUSED if delivery.edition_id is not None:
            return Fate(_waits(delivery, str(fate), clock), we_are_refused=True)
        case Meaning.RETRY | Meaning.WE_ARE_REFUSED:
            made = _tried(delivery, str(fate), settings, clock, chance)
            return Fate(made.outcome, slow_down=slow_down)
        case _:
            outcome = Outcome(delivery, DeliveryState.FAILED, str(fate), attempts=1)
            return Fate(outcome, address_is_dead=meaning is Meaning.ADDRESS_DEAD)


def _broken(delivery: Claimed, fate: Broken, settings: Settings, clock: datetime, chance: random.Random) -> Fate:
    if fate.uncertain:
        # It may have been taken: tried again with the same Message-ID, and charged, so that it ends some day.
        return _tried(delivery, f"no reply after the final dot: {fate.reason}", settings, clock, chance)
    return Fate(_waits(delivery, fate.reason, clock + _AFTER_A_BREAK))


def asks_to_slow_down(reply: Reply) -> bool:
    """Say whether a refusal is about how much we send (RFC 3463: 4.7.x; RFC 5321: 421)."""
    return reply.code == replies.CLOSING or (reply.enhanced or "").startswith("4.7.")


def _tried(delivery: Claimed, reply: str, settings: Settings, clock: datetime, chance: random.Random) -> Fate:
    give_up_at = delivery.give_up_at or clock + retries.GIVE_UP_AFTER
    if clock >= give_up_at:
        return Fate(Outcome(delivery, DeliveryState.FAILED, reply, attempts=1))
    first = timedelta(seconds=settings.retry_seconds)
    due_at = retries.next_try(delivery.attempts + 1, first, clock, chance)
    return Fate(Outcome(delivery, DeliveryState.PENDING, reply, attempts=1, due_at=due_at, give_up_at=give_up_at))


def _waits(delivery: Claimed, reply: str, due_at: datetime) -> Outcome:
    """Back to the queue, no attempt charged."""
    return Outcome(delivery, DeliveryState.PENDING, reply, due_at=due_at, give_up_at=delivery.give_up_at)
