"""Runs of the sender and of what it is compared with; each says how many messages went out in how many seconds."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import audience, installations, relays
from bench.installations import ROOT, CommandFailedError, Installation
from bench.watching import Watched, watched

# Of the sender, over all of its workers.
CONNECTIONS = 8


@dataclass(frozen=True)
class Sent:
    """One run: messages, seconds, processor seconds of all our processes, the largest of them in bytes."""

    messages: int
    seconds: float
    processor: float = 0.0
    peak: int = 0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


def drained(filled: Installation, recipients: int, ports: Sequence[int], workers: int) -> Sent:
    """Send one edition from a fresh copy, by as many senders as there are ports.

    What a start costs, measured when all is sent, is taken off: a scheduler starts once.
    """
    with installations.copy(filled) as site:
        whole = _deliver(site, ports, workers)
        start = _deliver(site, ports, workers)
    # With a handful of messages the difference is noise, and may be less than nothing.
    seconds, processor = max(whole.seconds - start.seconds, 0.001), max(whole.processor - start.processor, 0.0)
    return Sent(recipients, seconds, processor, whole.peak)


def from_source(ports: Sequence[int], messages: int, size: int) -> Sent:
    """Send as many messages of a size with smtp-source, one of them for each port, over kept connections."""
    command = [relays.program("smtp-source"), "-d", "-f", "alerts@care.example.org", "-t", "reader@mail.example"]
    share = ["-m", str(messages // len(ports)), "-s", str(CONNECTIONS // len(ports)), "-l", str(size)]
    return Sent(messages, _together([[*command, *share, f"127.0.0.1:{port}"] for port in ports]))


def by_usual_loop(port: int, messages: int) -> Sent:
    """Send with the usual loop, in two processes."""
    command, half = [sys.executable, "-m", "bench.usual_loop", str(port)], messages // 2
    shares = [["1", str(half)], [str(half + 1), str(messages)]]
    return Sent(messages, _together([[*command, *share] for share in shares]))


def message_size() -> int:
    """Return the mean size of our messages, measured on a few that a sink writes down."""
    few = 20
    with installations.installation("sqlite", audience.CATALOGUE) as site:
        audience.fill(site, few)
        site.folder.chmod(0o777)  # the sink may run as nobody
        with relays.sink("-D", str(site.folder / "taken")) as port:
            _deliver(site, [port], 1)
        return (site.folder / "taken").stat().st_size // few


def _together(commands: Sequence[Sequence[str]]) -> float:
    """Run commands side by side; return the seconds until the last has ended."""
    started = time.perf_counter()
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for command in commands]
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise CommandFailedError(f"{commands[0][0]} failed")
    return time.perf_counter() - started


def _deliver(site: Installation, ports: Sequence[int], workers: int) -> Watched:
    """Run `alerts deliver --drain`, one command for each port."""
    command = ["deliver", "--drain", "--workers", str(workers)]
    environments = [site.environment | {"ALERTS_SMTP_URL": f"smtp://127.0.0.1:{port}"} for port in ports]
    return watched([command] * len(ports), environments, site.folder)
