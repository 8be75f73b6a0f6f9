"""After the faults: what the relay took, held against what the ledger says."""

import itertools
from collections.abc import Sequence

from alerts_service.db import db
from alerts_service.services import ledger, proving, publishing
from tests.faults.sink import Sink
from tests.scene import Scene

IN_FLIGHT = 8
# From before a kill to when the relay had read all that had been written to it.
Kill = tuple[float, float]


def audit(scene: Scene, sink: Sink, kills: Sequence[Kill] = (), *, in_flight: int = IN_FLIGHT) -> None:
    """Nothing lost, nothing unknown, nothing said that is not so, and no double but what was in flight at a kill."""
    db.session.rollback()
    states = {line["key"]: line["state"] for line in ledger.lines(settings=scene.settings)}
    taken = {copy.message_id for copy in sink.stored}
    sent = {key for key, state in states.items() if state == "sent"}
    assert set(states.values()) <= {"sent", "suppressed"}, "everything has ended"
    assert sent - taken == set(), "lost, though said to be sent"
    assert taken - sent == set(), "unknown to the ledger, or sent to somebody who is suppressed"
    for update in publishing.listing():
        assert proving.proof(update["id"], now=scene.now)["adds_up"]
    _explain_doubles(sink, kills, in_flight)


def _explain_doubles(sink: Sink, kills: Sequence[Kill], in_flight: int) -> None:
    unexplained = []
    for copies in sink.copies().values():
        assert len({copy.message_id for copy in copies}) == 1, "another Message-ID"
        for first, second in itertools.pairwise(copies):
            killed = any(first.at <= until and since <= second.at for since, until in kills)
            if first.number not in sink.ack_drops and not killed:
                unexplained.append((first, second))
    assert unexplained == []
    assert len(sink.doubled()) <= len(kills) * in_flight + len(sink.ack_drops)
