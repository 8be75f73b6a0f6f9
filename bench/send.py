"""Sending an edition, beside smtp-source and beside the usual loop, through the same sink in the same run.

    python -m bench.send [--recipients N] [--quick] [--database sqlite|postgresql]

The sink is Postfix's smtp-sink: on Debian, apt-get install postfix (choose "No configuration"; it need not run).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench import audience, installations, relays, sending
from bench.installations import NAMES, Installation
from bench.measuring import Table, interleaved, median, megabytes, options, publish
from bench.sending import Sent

_DELAY_SECONDS = 0.010
_ABOUT = """
## Sending

A weekly edition of 12 updates, {size:,} bytes a message, to {recipients:,} recipients: `alerts deliver --drain
--workers N` claims, splices, sends and records, to Postfix's `smtp-sink`. In the same run and through the same sink:
`smtp-source` with messages of that size over as many kept connections ({connections}), and the usual loop (Jinja,
EmailMessage and smtplib for each recipient, in two processes; {loop:,} messages). With two sinks, two commands of one
worker each send from one database, and two smtp-sources. With late replies {delayed:,} messages go out. What our
processes need to start is taken off.

Must: 0.8 × smtp-source (aim: 1.3 ×), 15 × the usual loop (aim: 30 ×), 60 µs of processor time a message (aim: 25 µs;
of all our processes, without the database server and the sink), 100 MB a worker (aim: 60 MB).
"""
_RATES = (
    "database",
    "workers",
    "through",
    "ours",
    "smtp-source",
    "ratio",
    "usual loop",
    "ratio",
    "processor",
    "memory",
)
_MEMORY = ("database", "recipients", "memory of the largest worker")


@dataclass(frozen=True)
class Plan:
    """How much is sent, and how often it is measured."""

    recipients: int
    loop: int
    delayed: int
    size: int
    rounds: int

    def rates(self, kind: str) -> list[list[str]]:
        """Return the rows of one database."""
        with relays.sink() as one, relays.sink() as two, relays.delayed(one, _DELAY_SECONDS) as late:
            with installations.installation(kind, audience.CATALOGUE) as filled:
                audience.fill(filled, self.recipients)
                rows = [
                    self._row(filled, "1", "one sink", 1, [one], self.recipients),
                    self._row(filled, "2", "one sink", 2, [one], self.recipients, loop=self.loop),
                    self._row(filled, "2", "two sinks", 1, [one, two], self.recipients),
                ]
            with installations.installation(kind, audience.CATALOGUE) as filled:
                audience.fill(filled, self.delayed)
                rows.append(self._row(filled, "2", "one sink, replies 10 ms late", 2, [late], self.delayed))
        return rows

    def memory(self, kind: str) -> list[list[str]]:
        """Return how large a worker gets with a tenth and a third of the recipients."""
        rows = []
        for recipients in (self.recipients // 10, self.recipients // 3):
            with relays.sink() as port, installations.installation(kind, audience.CATALOGUE) as filled:
                audience.fill(filled, recipients)
                peak = sending.drained(filled, recipients, [port], 1).peak
                rows.append([NAMES[kind], f"{recipients:,}", megabytes(peak)])
        return rows

    def _row(
        self, filled: Installation, named: str, way: str, workers: int, ports: list[int], messages: int, loop: int = 0
    ) -> list[str]:
        measures: dict[str, Callable[[], Sent]] = {
            "ours": partial(sending.drained, filled, messages, ports, workers),
            "source": partial(sending.from_source, ports, messages, self.size),
        }
        if loop:
            measures["loop"] = partial(sending.by_usual_loop, ports[0], loop)
        found = interleaved(self.rounds, measures)
        rates = {name: median(each.rate for each in runs) for name, runs in found.items()}
        processor = median(each.processor / each.messages for each in found["ours"])
        return [
            NAMES[filled.kind],
            named,
            way,
            f"{rates['ours']:,.0f}/s",
            f"{rates['source']:,.0f}/s",
            f"**{rates['ours'] / rates['source']:.2f} ×**",
            f"{rates['loop']:,.0f}/s" if loop else "",
            f"**{rates['ours'] / rates['loop']:.0f} ×**" if loop else "",
            f"{processor * 1_000_000:.0f} µs",
            megabytes(max(each.peak for each in found["ours"])),
        ]


def main() -> None:
    """Measure both databases and write the tables."""
    parser = options(__doc__)
    parser.add_argument("--recipients", type=int, default=100_000, help="recipients (default %(default)s)")
    chosen = parser.parse_args()
    size = sending.message_size()
    plan = Plan(chosen.recipients, loop=3_000, delayed=4_000, size=size, rounds=chosen.rounds)
    if chosen.quick:
        plan = Plan(recipients=200, loop=20, delayed=50, size=size, rounds=1)
    kinds = [kind for kind in installations.KINDS if chosen.database in {None, kind}]
    rates = [row for kind in kinds for row in plan.rates(kind)]
    memory = [row for kind in kinds for row in plan.memory(kind)]
    about = _ABOUT.format(**vars(plan), connections=sending.CONNECTIONS)
    publish("send", [about, *Table(_RATES, rates).lines(), "", *Table(_MEMORY, memory).lines()], chosen.page)


if __name__ == "__main__":
    main()
