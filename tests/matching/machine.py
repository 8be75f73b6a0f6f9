"""Random lives: what people, operators, schedulers and crashes do, each beside the reference model."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from alerts_service.errors import WrongState
from alerts_service.models import DeliveryState
from alerts_service.services import settling, steering, suppressing
from alerts_service.services.claiming import Claimed
from tests.matching.model import FREQUENCIES, Model, Person, Update, demand
from tests.matching.watching import NAMES, Watcher
from tests.matching.world import TOPICS

SHORT, LONG = (timedelta(seconds=20), timedelta(minutes=10), timedelta(hours=3)), (timedelta(days=1), timedelta(days=8))
SPANS = (*SHORT, *LONG)
FATES = (DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.PENDING, DeliveryState.PENDING, None)

names = st.sampled_from(NAMES)
topic_sets = st.lists(st.sampled_from(TOPICS), min_size=1, max_size=3, unique=True)
frequencies = st.sampled_from(FREQUENCIES)
locales = st.sampled_from(("en", "es"))
picks = st.integers(0, 99)
spans = st.sampled_from((*SPANS, *SHORT, timedelta(days=1)))
seldom = st.sampled_from((False, False, True))

# What may happen: how often beside the others, and with which choices.
DEEDS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "confirm": (4, {"name": names, "topics": topic_sets, "frequency": frequencies, "locale": locales}),
    "choose": (2, {"pick": picks, "topics": topic_sets, "frequency": frequencies, "locale": locales}),
    "change_frequency": (2, {"pick": picks, "frequency": frequencies}),
    "change_one_frequency": (2, {"pick": picks, "frequency": frequencies}),
    "leave_one": (2, {"pick": picks}),
    "leave_all": (1, {"pick": picks, "by_link": st.booleans()}),
    "leave_these": (1, {"pick": picks}),
    "undo": (2, {"pick": picks}),
    "pause": (3, {"pick": picks, "span": st.none() | spans}),
    "resume": (2, {"pick": picks}),
    "suppress_or_lift": (1, {"pick": picks, "reason": st.sampled_from((suppressing.BOUNCE, suppressing.OPERATOR))}),
    "publish": (6, {"topics": topic_sets, "urgent": seldom, "lapse": st.none() | st.none() | spans}),
    "publish_later": (2, {"topics": topic_sets, "urgent": seldom, "wait": spans}),
    "withdraw": (2, {"pick": picks}),
    "advance": (1, {"span": spans}),
    "advance_and_tick": (4, {"span": spans}),
    "put_the_clock_back": (2, {"span": spans}),
    "tick": (2, {}),
    "open_and_die": (4, {"span": st.none() | spans, "batches": st.integers(0, 2)}),
    "compile_some": (4, {"people": st.integers(1, 2)}),
    "deliver": (
        6,
        {"limit": st.sampled_from((1, 2, 50)), "fates": st.lists(st.sampled_from(FATES), min_size=1, max_size=4)},
    ),
    "record_late": (2, {"fate": st.sampled_from(FATES[:4])}),
    "leases_end": (2, {}),
    "cancel_edition": (2, {"pick": picks, "batch": st.sampled_from((1, 2, 100))}),
    "cancel_and_die": (1, {"pick": picks}),
    "retry_failed": (2, {"pick": picks}),
    "tally": (2, {}),
    "ask_why": (1, {"name": names, "pick": picks}),
}


@dataclass(frozen=True)
class Deed:
    """One thing that happens."""

    name: str
    choices: dict[str, Any]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        choices = ", ".join(f"{key}={value!r}" for key, value in self.choices.items())
        printer.text(f"{self.name}({choices})")


@st.composite
def deeds(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Deed:
    """Draw a deed. One rule for all keeps lives full: Hypothesis would leave out half of many rules in each."""
    name = draw(st.sampled_from([name for name, (weight, _) in DEEDS.items() for _ in range(weight)]))
    return Deed(name, {key: draw(choice) for key, choice in DEEDS[name][1].items()})


class Lives(Watcher, RuleBasedStateMachine):
    """One life of an installation."""

    played: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.outside = sys.exc_info()[1]
        type(self).played += 1
        self.world.forget()
        self.model = Model(self.world.now)
        self.ids: dict[str, int] = {}
        self.in_hand: list[Claimed] = []
        self.claims: dict[int, int] = {}
        self.latest = self.world.now

    @rule(deed=deeds())
    def happens(self, deed: Deed) -> None:
        """Let one thing happen, if it can."""
        if deed.name not in NEEDS or NEEDS[deed.name](self):
            getattr(self, deed.name)(**deed.choices)

    # People

    @initialize(first=st.lists(st.tuples(topic_sets, frequencies), min_size=2, max_size=4))
    def some_are_there_already(self, first: list[tuple[list[str], str]]) -> None:
        """Begin with a few people."""
        for name, (topics, frequency) in zip(NAMES, first, strict=False):
            self.confirm(name, topics, frequency, "en")

    def confirm(self, name: str, topics: list[str], frequency: str, locale: str) -> None:
        """Sign up and confirm: new, known, or back after leaving."""
        person_id = self.world.confirm(name, topics, frequency, locale)
        self.ids[name] = person_id
        person = self.model.people.setdefault(person_id, Person(person_id))
        if not person.follows:
            # The rules do not say what becomes of a pause when everything is left; coming back ends it here.
            person.paused = False
        if person.suppressed_for == suppressing.BOUNCE:
            # Promise 7: what an operator stopped stays stopped.
            person.suppressed_for = None
        self.model.follow(person, topics, frequency)

    def choose(self, pick: int, topics: list[str], frequency: str, locale: str) -> None:
        """Send the preferences form: topics added and left, all at one frequency."""
        name, person = self.somebody(pick)
        self.world.choose(name, topics, frequency, locale)
        self.model.leave(person, set(person.follows) - set(topics))
        self._move(person, frequency)
        self.model.follow(person, topics, frequency)

    def change_frequency(self, pick: int, frequency: str) -> None:
        """Change how often, for all topics."""
        name, person = self.somebody(pick, following=True)
        self.world.choose(name, sorted(person.follows), frequency)
        self._move(person, frequency)

    def change_one_frequency(self, pick: int, frequency: str) -> None:
        """Change how often, for one topic."""
        name, person = self.somebody(pick, following=True)
        topic = sorted(person.follows)[pick % len(person.follows)]
        self.world.change_one(name, topic, frequency)
        person.follows[topic].frequency = frequency

    def leave_one(self, pick: int) -> None:
        """Leave one topic of several, frequencies kept."""
        name, person = self.somebody(pick, following=True)
        if len(person.follows) > 1:
            left = sorted(person.follows)[pick % len(person.follows)]
            self.world.choose(name, sorted(person.follows.keys() - {left}))
            self.model.leave(person, [left])

    def leave_all(self, pick: int, by_link: bool) -> None:
        """Leave everything."""
        name, person = self.somebody(pick)
        self.world.advance(timedelta(seconds=1))  # so that no two ends are one
        if by_link:
            self.world.leave(name)
        else:
            self.world.leave_in_preferences(name)
        self.model.leave(person, list(person.follows))

    def leave_these(self, pick: int) -> None:
        """Leave the topics of one digest, by its link."""
        line = sorted(self.model.ledger.values(), key=lambda line: line.id)[pick % len(self.model.ledger)]
        name = next(name for name, person_id in self.ids.items() if person_id == line.person)
        self.world.advance(timedelta(seconds=1))
        self.world.leave(name, self.world.digest_of(line.id), only_these=True)
        topics = set().union(*(self.model.updates[u].topics for u in line.holds))
        self.model.leave(self.model.people[line.person], topics)

    def undo(self, pick: int) -> None:
        """Undo having left everything."""
        gone = sorted(name for name, i in self.ids.items() if self.model.people[i].ended)
        name = gone[pick % len(gone)]
        self.world.undo(name)
        self.model.undo(self.model.people[self.ids[name]])

    def pause(self, pick: int, span: timedelta | None) -> None:
        """Pause, with and without an end."""
        name, person = self.somebody(pick)
        self.world.pause(name, span)
        person.pause(None if span is None else self.world.now + span)

    def resume(self, pick: int) -> None:
        """End a pause."""
        paused = sorted(name for name, i in self.ids.items() if self.model.people[i].paused)
        name = paused[pick % len(paused)]
        self.world.resume(name)
        self.model.people[self.ids[name]].paused = False

    def suppress_or_lift(self, pick: int, reason: str) -> None:
        """Stop all mail to somebody, or let it go to them again."""
        name, person = self.somebody(pick)
        if person.suppressed_for:
            self.world.lift(name)
            person.suppressed_for = None
        else:
            self.world.suppress(name, reason)
            person.suppressed_for = reason

    # Updates

    def publish(self, topics: list[str], urgent: bool, lapse: timedelta | None) -> None:
        """Release an update at once."""
        self._queue(topics, urgent=urgent, lapse=lapse)

    def publish_later(self, topics: list[str], urgent: bool, wait: timedelta) -> None:
        """Queue an update for a moment to come: later ones may overtake it."""
        self._queue(topics, urgent=urgent, release_at=self.world.now + wait)

    def _queue(self, topics: list[str], *, urgent: bool, lapse: timedelta | None = None, **more: Any) -> None:
        fields: dict[str, Any] = {"urgent": urgent} | more
        lapses_at = None
        if lapse is not None:
            lapses_at = self.world.now + lapse
            event = len(topics) > 1
            fields |= {"starts_at": self.world.now, "ends_at": lapses_at} if event else {"expires_at": lapses_at}
        update_id = self.world.add(topics, **fields)
        self.model.updates[update_id] = Update(update_id, frozenset(topics), urgent, lapses_at)
        self.see_releases()

    def withdraw(self, pick: int) -> None:
        """Take an update back."""
        updates = list(self.model.updates.values())
        if pick % 2:
            waiting = {u for line in self.model.ledger.values() if line.state == "pending" for u in line.holds}
            updates = [update for update in updates if update.id in waiting] or updates
        update = updates[-1 - pick // 2 % len(updates)]
        self.world.withdraw(update.id)
        update.withdrawn = True

    # Time

    def advance(self, span: timedelta) -> None:
        """Let time pass without the scheduler."""
        self.world.advance(span)

    def advance_and_tick(self, span: timedelta) -> None:
        """Let time pass, then the scheduler come back."""
        self.world.advance(span)
        self.tick()

    def put_the_clock_back(self, span: timedelta) -> None:
        """Put the clock back; that of leases and retries is another."""
        self.latest = max(self.latest, self.world.now)
        self.world.now -= span

    # Editions

    def tick(self) -> None:
        """Let the timer go off."""
        self.world.tick()
        self.see_releases()
        fresh = self.fresh_lines()
        while (edition := self.model.oldest_uncompiled) is not None:
            self.see_compile(edition, None, fresh)
        self.see_openings()
        while (edition := self.model.oldest_uncompiled) is not None:
            self.see_compile(edition, None, fresh)
        demand(not fresh, f"deliveries of no edition: {fresh}")
        self.look()

    def open_and_die(self, span: timedelta | None, batches: int) -> None:
        """A scheduler opens what is due, and dies before it compiles, or while it does."""
        if span is not None:
            self.world.advance(span)
        self.world.tick_without_compile()
        self.see_releases()
        self.see_openings()
        self.look()
        for _ in range(batches):
            self.compile_some(1)

    def compile_some(self, people: int) -> None:
        """Compile one small batch; anything may come before the next."""
        edition = self.model.oldest_uncompiled
        worked, _ = self.world.compile(people)
        demand(worked == (edition is not None), "there was something to compile, or there was not")
        if edition is None:
            return
        row = self.world.edition(edition.id)
        self.see_compile(edition, None if row.compiled_at else row.compiled_to, self.fresh_lines())
        self.look()

    def cancel_edition(self, pick: int, batch: int) -> None:
        """Cancel an edition; one that is not compiled pauses, and goes on later."""
        edition = self.some_edition(pick, "pending")
        ended = self.world.cancel(edition.id, batch)
        demand((ended is not None) == edition.compiled, f"{edition} was cancelled before its compile, or was not")
        if edition.compiled:
            edition.cancelled = True
        else:
            self.world.resume_edition(edition.id)
        self.look()
        pending = [
            line for line in self.model.ledger.values() if line.edition == edition.id and line.state == "pending"
        ]
        demand(not (edition.cancelled and pending), f"left of a cancelled edition: {pending}")

    def cancel_and_die(self, pick: int) -> None:
        """Cancel an edition in a process that dies after the first delivery."""
        edition = self.some_edition(pick, "pending")
        if edition.compiled and steering._stop(edition.id, "", self.world.now):
            edition.cancelled = True
            steering._cancel_some(edition.id, 1)
        self.look()

    def retry_failed(self, pick: int) -> None:
        """Try an edition's failed deliveries again."""
        edition = self.some_edition(pick, "failed")
        edition.retrying = True
        try:
            self.world.retry_failed(edition.id)
        except WrongState:
            demand(edition.cancelled, f"{edition} could not be tried again")
        self.look()
        edition.retrying = False
        failed = {
            line.person
            for line in self.model.ledger.values()
            if line.edition == edition.id and line.state == "failed" and not edition.cancelled
        }
        demand(all(self.model.people[i].suppressed_for for i in failed), f"not tried again: {failed}")

    def tally(self) -> None:
        """Let the scheduler's minute come: what is left of cancelled editions ends, what has ended is counted."""
        self.world.finish_cancelling()
        self.look()
        self.world.tally()

    # Deliveries

    def deliver(self, limit: int, fates: Sequence[DeliveryState | None]) -> None:
        """Claim, settle what was passed over, and send; a fate of None is a worker that dies or is slow."""
        self.model.claims(self.world.now)
        claim = self.world.claim_only(limit=limit)
        self.look()
        settling.settle(claim.unsettled, now=self.world.now)
        self.look()
        self.claims |= {delivery.id: delivery.claim_number for delivery in claim.deliveries}
        for number, delivery in enumerate(claim.deliveries):
            fate = fates[number % len(fates)]
            if delivery.digest_id is None:
                self.world.record(delivery, DeliveryState.SENT)
            elif fate is None:
                self.in_hand.append(delivery)
            else:
                demand(self.world.record(delivery, fate) == 1, f"a record was refused: {delivery}")
        self.look()

    def record_late(self, fate: DeliveryState) -> None:
        """A slow worker writes what became of a delivery, which may not be its own any more."""
        delivery = self.in_hand.pop(0)
        written = self.world.record(delivery, fate)
        demand(
            not written or self.claims[delivery.id] == delivery.claim_number, f"a lost claim was recorded: {delivery}"
        )
        self.look()

    def leases_end(self) -> None:
        """Stale claims go back to the queue."""
        self.world.real += timedelta(seconds=61)
        self.world.take_back()
        self.look()

    # Questions

    def ask_why(self, name: str, pick: int) -> None:
        """Let it be explained why somebody got an update, or did not, and prove it."""
        update = list(self.model.updates.values())[-1 - pick % len(self.model.updates)]
        self.see_why(name, update)
        self.see_proof(update)

    # The end

    def teardown(self) -> None:
        """Let everybody come back, every slot come, everything be sent; then nobody may lack anything."""
        if sys.exc_info()[1] is self.outside:
            self.end()

    def end(self) -> None:
        """Play a life to its end."""
        for name in self.known:
            person = self.model.people[self.ids[name]]
            if person.paused:
                self.world.resume(name)
                person.paused = False
        self.world.now = max(self.latest, self.world.now)
        self.world.advance(timedelta(days=40))
        self.world.take_back()
        self.look()
        self.tally()
        self.tick()
        self.drain()
        self.nobody_lacks_anything()

    def drain(self) -> None:
        """Send everything."""
        for _ in range(100):
            self.model.claims(self.world.now)
            claim = self.world.claim_only()
            self.look()
            settling.settle(claim.unsettled, now=self.world.now)
            self.look()
            if not claim.deliveries and not claim.unsettled:
                break
            self.world.record_all(claim.deliveries)
        self.tally()
        states = {line.state for line in self.model.ledger.values()}
        demand(states <= {"sent", "failed", "cancelled"}, f"left in the outbox: {states}")

    def nobody_lacks_anything(self) -> None:
        """Everything owed was given; proofs and explanations agree."""
        for person in self.model.people.values():
            unsure = person.doubtful | {u.id for u in self.model.updates.values() if u.was_lapsed}
            lacking = self.model.lacks(person, self.world.now) - unsure
            demand(not lacking, f"{person} never got {lacking}")
        for number, update in enumerate(list(self.model.updates.values())[-3:]):
            self.see_proof(update)
            self.see_why(NAMES[number % len(NAMES)], update)


# Without which nothing would happen.
NEEDS: dict[str, Callable[[Lives], object]] = {
    "choose": lambda life: life.known,
    "change_frequency": lambda life: life.following,
    "change_one_frequency": lambda life: life.following,
    "leave_one": lambda life: life.following,
    "leave_all": lambda life: life.known,
    "leave_these": lambda life: life.model.ledger,
    "undo": lambda life: any(person.ended for person in life.model.people.values()),
    "pause": lambda life: life.known,
    "resume": lambda life: any(person.paused for person in life.model.people.values()),
    "suppress_or_lift": lambda life: life.known,
    "withdraw": lambda life: life.model.updates,
    "record_late": lambda life: life.in_hand,
    "cancel_edition": lambda life: life.model.editions,
    "cancel_and_die": lambda life: life.model.editions,
    "retry_failed": lambda life: life.model.editions,
    "ask_why": lambda life: life.model.updates,
}
