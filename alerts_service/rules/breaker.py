"""When a worker connects to a relay that does not answer: a circuit breaker, as values.

Closed, it lets connect at once. The third failure in a row opens it: it waits 1, 2, 4 … 15 seconds, then lets one
try through, whose outcome closes it or opens it for longer. A relay that answers and hangs up (421 as
greeting, or at MAIL; RFC 5321, 3.8) is there: that never opens it, and only spaces the connections out.

Moments are those of a monotonic clock, in seconds.
"""

import random
from dataclasses import dataclass, replace
from enum import StrEnum

OPENS_AFTER = 3
LONGEST = 15.0
# A try whose outcome is never told (its thread has died) holds the others up for so long.
TRY_TAKES = 60.0
_SPACED, _SPACED_MOST = 0.1, 1.0
_JITTER = 0.2


class State(StrEnum):
    """What a breaker lets through: all, nothing, or one try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True)
class Breaker:
    """What is known of a worker's relay. Every method returns the value that follows."""

    failures: int = 0
    hung_up: int = 0
    # Nobody connects before.
    not_before: float = 0.0

    def state(self, now: float) -> State:
        """Return what it lets through at a moment."""
        if self.failures < OPENS_AFTER:
            return State.CLOSED
        return State.OPEN if now < self.not_before else State.HALF_OPEN

    def wait(self, now: float) -> float:
        """Return how long not to connect yet, in seconds; 0 when it may be tried now."""
        return max(0.0, self.not_before - now)

    def trying(self, now: float) -> "Breaker":
        """Somebody connects, now that there is no wait: the only one, where it is half-open."""
        if self.state(now) is State.CLOSED:
            return self
        return replace(self, not_before=now + TRY_TAKES)

    def failed(self, now: float, chance: random.Random) -> "Breaker":
        """A connection could not be made, or broke before the relay greeted."""
        failures = self.failures + 1
        if failures < OPENS_AFTER:
            return Breaker(failures)
        wait = min(LONGEST, 2.0 ** min(failures - OPENS_AFTER, 10))
        return Breaker(failures, not_before=now + wait * (1 + chance.uniform(-_JITTER, _JITTER)))

    def turned_away(self, now: float) -> "Breaker":
        """The relay answered 421 as greeting or at MAIL: connect again, at once the first time."""
        wait = min(_SPACED_MOST, _SPACED * self.hung_up)
        return Breaker(hung_up=self.hung_up + 1, not_before=now + wait)

    def answered(self) -> "Breaker":
        """The relay took an envelope: all is well."""
        return _CLOSED


_CLOSED = Breaker()
