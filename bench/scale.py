"""One edition sent by one, two and four hosts beside one PostgreSQL, each with a state folder of its own.

    python -m bench.scale [--recipients N] [--quick]

The sink is Postfix's smtp-sink: on Debian, apt-get install postfix (choose "No configuration"; it need not run).
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench import audience, installations, relays
from bench.installations import NAMES, Installation
from bench.measuring import Table, interleaved, median, options, publish
from bench.sending import Sent
from bench.watching import Watched, watched

_HOSTS = (1, 2, 4)
_DELAY_SECONDS = 0.010
_KIND = "postgresql"
_ABOUT = """
## Further hosts

The edition of 12 updates goes to {recipients:,} recipients (with late replies to {delayed:,}) from one PostgreSQL, by
`alerts deliver --drain` with one worker on each of several hosts: processes side by side on this machine, each with
a state folder, a journal and a name of its own, all sending to one `smtp-sink`. What a start costs is taken off.

On one machine, hosts share its {cores} cores with the database and the sink. Where the sink answers at once one worker
keeps a core busy, so that the cores bound the speed-up and not the design. Where each reply comes {delay:.0f} ms late,
as a relay's does that writes to its disk, the workers wait for it; there each host adds what it would add on a machine
of its own, until the cores are used up.
"""
_HEADINGS = ("database", "replies", "hosts", "messages a second", "speed-up", "processor")


@dataclass(frozen=True)
class Plan:
    """How much is sent, and how often it is measured."""

    hosts: Sequence[int]
    recipients: int
    delayed: int
    rounds: int

    def rows(self) -> list[list[str]]:
        """Return the rows of the table."""
        with relays.sink() as port, relays.delayed(port, _DELAY_SECONDS) as late:
            at_once = self._measured("at once", self.recipients, port)
            return at_once + self._measured(f"{_DELAY_SECONDS * 1000:.0f} ms late", self.delayed, late)

    def _measured(self, replies: str, recipients: int, port: int) -> list[list[str]]:
        with installations.installation(_KIND, audience.CATALOGUE, SMTP_URL=f"smtp://127.0.0.1:{port}") as filled:
            filled.python("bench.joining", *_state_folders(filled, max(self.hosts)))
            audience.fill(filled, recipients)
            ways = {hosts: partial(_drained, filled, recipients, hosts) for hosts in self.hosts}
            found = interleaved(self.rounds, ways)
        rates = {hosts: median(each.rate for each in runs) for hosts, runs in found.items()}
        processor = {hosts: median(each.processor / recipients for each in runs) for hosts, runs in found.items()}
        return [
            [
                NAMES[_KIND],
                replies,
                str(hosts),
                f"{rates[hosts]:,.0f}/s",
                f"**{rates[hosts] / rates[1]:.2f} ×**",
                f"{processor[hosts] * 1_000_000:.0f} µs",
            ]
            for hosts in self.hosts
        ]


def _drained(filled: Installation, recipients: int, hosts: int) -> Sent:
    """Send one edition from a fresh copy; what a start costs, measured when all is sent, is taken off."""
    with installations.copy(filled) as site:
        for folder in filled.folder.glob("host-*"):
            shutil.copytree(folder, site.folder / folder.name)
        folders = _state_folders(site, hosts)
        whole, start = _side_by_side(site, folders), _side_by_side(site, folders)
    # With a handful of messages the difference is noise, and may be less than nothing.
    seconds, processor = max(whole.seconds - start.seconds, 0.001), max(whole.processor - start.processor, 0.0)
    return Sent(recipients, seconds, processor)


def _side_by_side(site: Installation, state_folders: Sequence[str]) -> Watched:
    environments = [site.environment | {"ALERTS_STATE_DIR": folder} for folder in state_folders]
    return watched([["deliver", "--drain"]] * len(environments), environments, site.folder)


def _state_folders(site: Installation, hosts: int) -> list[str]:
    return [str(site.folder / f"host-{number}") for number in range(1, hosts + 1)]


def main() -> None:
    """Measure and write the table."""
    parser = options(__doc__)
    parser.add_argument("--recipients", type=int, default=100_000, help="recipients (default %(default)s)")
    chosen = parser.parse_args()
    plan = Plan(_HOSTS, chosen.recipients, delayed=min(chosen.recipients, 10_000), rounds=chosen.rounds)
    if chosen.quick:
        plan = Plan(hosts=_HOSTS[:2], recipients=200, delayed=50, rounds=1)
    if chosen.database in {None, _KIND}:  # SQLite is for one host
        about = _ABOUT.format(**vars(plan), cores=os.cpu_count(), delay=_DELAY_SECONDS * 1000)
        publish("scale", [about, *Table(_HEADINGS, plan.rows()).lines()], chosen.page)


if __name__ == "__main__":
    main()
