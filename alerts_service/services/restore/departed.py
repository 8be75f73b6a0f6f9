"""Who left, was suppressed or was erased after the copy was made, and so is again: steps by the journal's entries.

An address that became another after the copy is the former one in the restored database: whoever left or was
erased later is found there, too.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from alerts_service import journal
from alerts_service.db import taking_turns, transaction
from alerts_service.journal import Entry
from alerts_service.models import Subscriber
from alerts_service.services import erasing, leaving, suppressing
from alerts_service.services.consents import Origin

KINDS = {journal.LEFT, journal.SUPPRESSED, journal.ERASED, journal.MOVED}


@taking_turns
def do_again(entries: Iterable[Entry], former: dict[str, str], now: datetime) -> Counter[str]:
    """Do again what some entries say; count, by kind, what the database had not known.

    `former` is carried from one call to the next: the hash of an address, and of the one it took the place of.
    """
    done: Counter[str] = Counter()
    with transaction(turn=True) as session:
        for entry in entries:
            about = _about(entry)
            if entry.kind == journal.MOVED:
                former[about["address_hash"]] = former.get(entry.facts["former"], entry.facts["former"])
            elif entry.kind == journal.LEFT:
                done[journal.LEFT] += _leave_again(session, entry, former, now)
            elif entry.kind == journal.ERASED:
                done[journal.ERASED] += erasing.erase_again(session, **about, now=now)
            else:
                reason = entry.facts["reason"]
                done[journal.SUPPRESSED] += suppressing.suppress_again(session, **about, reason=reason)
    return done


def _leave_again(session: Session, entry: Entry, former: dict[str, str], now: datetime) -> bool:
    about = _about(entry)
    known_as = (about["address_hash"], former.get(about["address_hash"], about["address_hash"]))
    for address_hash in known_as:
        subscriber = session.scalar(select(Subscriber).where(Subscriber.address_hash == address_hash))
        if subscriber is not None:
            origin = Origin("journal", "", subscriber.locale, "")
            return bool(
                leaving.end_older(session, subscriber, entry.facts["topics"], origin, than=about["at"], now=now)
            )
    return False


def _about(entry: Entry) -> dict[str, Any]:
    return {"address_hash": entry.facts["hash"], "at": datetime.fromisoformat(entry.facts["at"])}
