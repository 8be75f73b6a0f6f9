"""World and model side by side: what is seen in the one must be what the other allows."""

from typing import ClassVar

from tests.matching.model import Edition, Line, Model, Person, Update, demand
from tests.matching.world import World

NAMES = ("ann", "bob", "cid", "dot")


class Watcher:
    """Looks at the installation after each deed, and compares."""

    world: ClassVar[World]
    model: Model
    ids: dict[str, int]

    # Questions

    def see_why(self, name: str, update: Update) -> None:
        """Compare an explanation with the model."""
        answer = self.world.explain(name, update.id)
        allowed = self.answers(name, update)
        demand(answer in allowed, f"explained {update} to {name} as {answer}, not {allowed}")

    def answers(self, name: str, update: Update) -> set[str]:
        """Return the answers that are true."""
        if name not in self.ids:
            return {"unknown_address"}
        person = self.model.people[self.ids[name]]
        given = self.model.given(person, update.id)
        if given:
            return {"pending" if given[0].state == "sending" else given[0].state}
        if update.seq is None:
            return {"not_released"}
        unsure = update.was_lapsed or update.id in person.doubtful
        lacks = update.id in self.model.lacks(person, self.world.now)
        if lacks and not unsure:
            return {"waiting"}
        cancelled = any(line.person == person.id and update.id in line.holds for line in self.model.ledger.values())
        found = {"waiting"} if lacks else set()
        if cancelled:
            return found | {"cancelled"}
        found |= {"not_owed"} if unsure else set()
        followed = [since < update.seq for topic, since in person.past if topic in update.topics]
        open_rows = self.model.follows(person, update)
        conditions = {
            # Drops are counted without names: somebody else's of the same edition may be taken for it.
            "dropped": any(
                update.id in self.model.people[line.person].dropped
                for line in self.model.ledger.values()
                if line.edition in {own.edition for own in self.model.ledger.values() if own.person == person.id}
            ),
            "withdrawn": update.withdrawn,
            "expired": update.lapsed(self.world.now),
            "followed_later": bool(followed) and not any(followed),
            "not_followed": not followed,
            "left_before": any(followed) and not open_rows,
            "paused": bool(open_rows) and person.away(self.world.now),
        }
        return found | {answer for answer, true in conditions.items() if true}

    def see_proof(self, update: Update) -> None:
        """Compare a proof with the model."""
        found = self.world.proof(update.id)
        demand(found["adds_up"], f"the proof does not add up: {found}")
        demand(found["matched"] == self.model.matched.get(update.id, 0), f"matched {self.model.matched}: {found}")
        states = [line.state for line in self.model.ledger.values() if update.id in line.holds]
        counted = {state: states.count(state) for state in ("sent", "failed")}
        counted["pending"] = states.count("pending") + states.count("sending")
        demand(all(found[state] == number for state, number in counted.items()), f"{counted}: {found}")
        people = list(self.model.people.values())
        most = {p.id for p in people if update.id in self.model.lacks(p, self.world.now)}
        least = {i for i in most if not update.was_lapsed and update.id not in self.model.people[i].doubtful}
        waiting = sum(found["waiting_for_their_slot"].values())
        demand(len(least) <= waiting <= len(most), f"{least} wait: {found}")

    # Looking

    @property
    def known(self) -> list[str]:
        """Everybody who has ever confirmed."""
        return sorted(self.ids)

    @property
    def following(self) -> list[str]:
        """Everybody who follows something."""
        return [name for name in self.known if self.model.people[self.ids[name]].follows]

    def somebody(self, pick: int, *, following: bool = False) -> tuple[str, Person]:
        """Return one of them; every other time one for whom something is on its way, where most can go wrong."""
        names = self.following if following else self.known
        expecting = {line.person for line in self.model.ledger.values() if line.state in {"pending", "sending"}}
        if pick % 2:
            names = [name for name in names if self.ids[name] in expecting] or names
        name = names[pick // 2 % len(names)]
        return name, self.model.people[self.ids[name]]

    def some_edition(self, pick: int, state: str) -> Edition:
        """Return one of the editions; mostly one that has a delivery in a state."""
        found = list(self.model.editions.values())
        if pick % 4:
            having = {line.edition for line in self.model.ledger.values() if line.state == state}
            found = [edition for edition in found if edition.id in having] or found
        return found[-1 - pick // 4 % len(found)]

    def _move(self, person: Person, frequency: str) -> None:
        for followed in person.follows.values():
            followed.frequency = frequency

    def fresh_lines(self) -> dict[int, Line]:
        """Return the deliveries that the model does not know yet."""
        return {i: line for i, line in self.world.ledger().items() if i not in self.model.ledger}

    def see_releases(self) -> None:
        """Tell the model what was released, in the order of the numbers."""
        for update_id, seq in self.world.released_since(self.model.count):
            self.model.release(update_id, seq, self.world.now)

    def see_openings(self) -> None:
        """Compare the editions that were opened with those that were due, and tell the model."""
        opened = self.world.editions_since(max(self.model.editions, default=0))
        due = [
            d
            for d in self.model.due(self.world.now)
            if d.certain or any(row.frequency == d.frequency for row in opened)
        ]
        demand(
            [(row.frequency, row.slot_at, row.urgent) for row in opened]
            == [(d.frequency, d.slot_at, d.urgent) for d in due],
            f"opened {[(row.frequency, row.slot_at) for row in opened]}, due were {due}",
        )
        for row in opened:
            self.model.open(Edition(row.id, row.frequency, row.slot_at, row.from_seq, row.through_seq, row.urgent))

    def look(self) -> None:
        """Compare the ledger and the marks with the model."""
        self.model.watch(self.world.ledger(), self.world.now)
        self.see_marks()

    def see_marks(self) -> None:
        """No mark may be above what was served."""
        letters = {topic_id: letter for letter, topic_id in self.world.topics.items()}
        for person_id, topic_id, since, mark in self.world.marks():
            person = self.model.people[person_id]
            for update in self.model.updates.values():
                if (
                    update.seq is not None
                    and since < update.seq <= mark
                    and letters[topic_id] in update.topics
                    and update.live(self.world.now)
                    and not update.was_lapsed
                    and update.id not in person.doubtful
                ):
                    given = self.model.given(person, update.id)
                    demand(given, f"{person} is marked {mark}, and was not given {update}")

    def see_compile(self, edition: Edition, to: int | None, fresh: dict[int, Line]) -> None:
        """Compare what an edition made up to a person (None: to its end), and tell the model."""
        lines = {line.person: line for line in fresh.values() if line.edition == edition.id}
        for line in list(lines.values()):
            del fresh[line.id]
        self.model.compile(edition, to, lines, self.world.now)
