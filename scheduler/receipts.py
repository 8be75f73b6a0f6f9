"""Receipts: a line in a file for every 250, written before the next final dot goes out on that connection.

The ledger is written in batches; until it is, the receipt is what survives the worker's death. Each worker has a
file of its own under the state directory, locked for as long as it lives. Whoever takes back a claim of this host
first writes the receipts of its worker into the ledger (`recover`). An appended line survives the end of the
process, not that of the machine: after a power failure, messages of the last batch may go out twice, with the
same Message-ID.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alerts_service.models import DeliveryState
from alerts_service.services import outbox
from alerts_service.services.outbox import Fenced, Outcome

_FOLDER = "receipts"
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What a line says of a delivery."""

    id: int
    claim_number: int


class Receipts:
    """One worker's file, held until `close`."""

    def __init__(self, state_dir: Path, worker: str) -> None:
        self._path = folder(state_dir) / worker
        self._file = _locked(self._path)

    def note(self, delivery: Fenced, reply: str, at: datetime) -> None:
        """Append that the relay took a delivery: in one write, unless the disk is full.

        Then a part of the line may be there, and OSError is raised. Nothing may be noted after it: the parts
        would read as one line about a third delivery.
        """
        line = f"{delivery.id} {delivery.claim_number} {at.timestamp():.3f} {reply}\n".encode()
        while line:
            line = line[os.write(self._file, line) :]

    def clear(self) -> None:
        """Forget what the ledger now says."""
        os.ftruncate(self._file, 0)

    def close(self) -> None:
        """End the file of a worker that has nothing left to record."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def folder(state_dir: Path) -> Path:
    """Return where the receipts of this host lie."""
    found = state_dir / _FOLDER
    found.mkdir(parents=True, exist_ok=True)
    return found


def recover(state_dir: Path, clock: datetime) -> int:
    """Write the receipts of workers that ended, or lost their lease, into the ledger; then take their claims back.

    Returns how many claims went back to the queue. Safe to run anywhere, any number of times at once.
    """
    returned = 0
    for path in sorted(folder(state_dir).iterdir()):
        with _abandoned(path) as it_is:
            if it_is:
                _into_the_ledger(path, clock)
                returned += outbox.take_back_from(path.name)
                path.unlink(missing_ok=True)
    stale = outbox.owners_of_stale_claims(clock)
    for worker in stale:
        # It lives and does not move: it may have been stopped between a 250 and the ledger.
        _into_the_ledger(folder(state_dir) / worker, clock)
    return returned + (outbox.take_back(clock) if stale else 0)


def _locked(path: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between the two calls somebody may have taken it for abandoned, and removed it.
        if path.exists() and os.fstat(file).st_ino == path.stat().st_ino:
            return file
        os.close(file)


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Hold the file of a worker that has ended; say whether it has."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(file)


def _into_the_ledger(path: Path, clock: datetime) -> None:
    batch: list[Outcome] = []
    for outcome in _read(path):
        batch.append(outcome)
        if len(batch) == _BATCH:
            outbox.record(path.name, batch, clock=clock)
            batch = []
    outbox.record(path.name, batch, clock=clock)


def _read(path: Path) -> Iterator[Outcome]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            delivery, number, at, reply = line.rstrip("\n").split(" ", 3)
            sent_at = datetime.fromtimestamp(float(at), UTC)
            yield Outcome(_Receipt(int(delivery), int(number)), DeliveryState.SENT, reply=reply, sent_at=sent_at)
