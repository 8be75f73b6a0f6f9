"""The host's journal: what was sent from here and who left, in plain files outside the database.

A database that is put back from a backup has forgotten what was sent after the backup was made; this folder
under ALERTS_STATE_DIR has not (docs/architecture.md, the restore fence). Every entry is one line, appended
under one lock of the host: a checksum, the kind, the nonce, and JSON. A line that is torn, as the last may be
after a power failure, fails its checksum and is passed over. A new file begins each month, and files are kept
for KEEP_MONTHS. It holds no address: people are known by their number, Message-IDs and keyed hashes.

A nonce is a count and a random part, as text: the count of a host only grows, so that the journal can be read
from a nonce on, and two copies of one database that went on apart still differ.
"""

import contextlib
import fcntl
import json
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

# Longer than any backup is kept: what is older cannot be reconciled.
KEEP_MONTHS = 14
_BLOCK = 1 << 16
_LOCK_TRIES, _LOCK_WAIT_SECONDS = 200, 0.01

# Kinds that carry a nonce: a turn, and the line before the first of them.
TURN = "turn"
START = "start"
# What a host that waits to join has seen of the others.
WATCH = "watch"
BACK = "back"
LEFT = "left"
SUPPRESSED = "suppressed"
ERASED = "erased"
# An address passed to another: what is noted later is noted under the new one.
MOVED = "moved"


@dataclass(frozen=True)
class Entry:
    """One line: what happened, under which nonce (empty where it has none), and the facts."""

    kind: str
    nonce: str
    facts: dict[str, Any]


class Journal:
    """The journal of one host. Files are opened for each use; nothing is remembered between two."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / "journal"

    def host(self) -> str:
        """Return this host's name for itself, made at the first call: random, as host names repeat."""
        path = self._state_dir / "host.id"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text(encoding="ascii").strip()
        self._state_dir.mkdir(parents=True, exist_ok=True)
        own = self._state_dir / f"host.id.{secrets.token_hex(8)}"
        _write_durably(own, f"{secrets.token_hex(16)}\n".encode())
        with contextlib.suppress(FileExistsError):
            os.link(own, path)  # whole, or not at all; the first one counts
        own.unlink()
        _make_durable(self._state_dir)
        return path.read_text(encoding="ascii").strip()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of this host: one process, and one thread, at a time."""
        with self._lock_file() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def last(self) -> Entry | None:
        """Return the newest entry that carries a nonce, without its facts; None where there has been none."""
        found = [entry for entry in (self.idle(), self._last_turn()) if entry and entry.nonce]
        return max(found, key=lambda entry: count_of(entry.nonce), default=None)

    def write_turn(self, nonce: str, facts: dict[str, Any], at: datetime) -> None:
        """Append a turn and make it durable. The caller holds the lock."""
        self._append(_line(TURN, nonce, facts | {"at": at.isoformat()}), at, durable=True)

    def write_idle(self, kind: str, nonce: str, facts: dict[str, Any], at: datetime) -> None:
        """Keep what a renewal without mail notes: one line, replaced each time. The caller holds the lock."""
        self._make_folder()
        path = self._folder / "idle"
        _write_durably(path.with_suffix(".new"), _line(kind, nonce or "-", facts | {"at": at.isoformat()}))
        path.with_suffix(".new").replace(path)
        _make_durable(self._folder)

    def write(self, kind: str, facts: dict[str, Any], at: datetime, *, durable: bool) -> None:
        """Append what belongs to no turn. It waits for the lock for two seconds, then is written all the same."""
        with self._lock_file() as file:
            for _ in range(_LOCK_TRIES):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:  # whoever holds it may have been stopped
                    time.sleep(_LOCK_WAIT_SECONDS)
            self._append(_line(kind, "-", facts | {"at": at.isoformat()}), at, durable=durable)

    def idle(self) -> Entry | None:
        """Return what the last renewal without mail noted."""
        try:
            return _read((self._folder / "idle").read_bytes())
        except FileNotFoundError:
            return None

    def entries(self, since: str | None = None) -> Iterator[Entry]:
        """Yield the entries since a nonce: all after the last turn before it; without one, all."""
        files = self._files()
        start, offset = _place(files, count_of(since)) if since else (0, 0)
        for number, path in enumerate(files[start:]):
            with path.open("rb") as file:
                file.seek(offset if number == 0 else 0)
                yield from (entry for line in file if (entry := _read(line)))

    def trim(self, now: datetime) -> None:
        """Remove the files that are older than any backup."""
        this_month = now.year * 12 + now.month
        for path in self._files()[:-1]:
            year, month = path.stem.split("-")[1:]
            if this_month - (int(year) * 12 + int(month)) > KEEP_MONTHS:
                path.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.geteuid() == 0:
                owner = self._state_dir.stat()
                os.chown(self._folder, owner.st_uid, owner.st_gid)

    def _files(self) -> list[Path]:
        """The files, oldest first: their number says the order, and not a clock that may be moved."""
        return sorted(self._folder.glob("*.log"))

    @contextlib.contextmanager
    def _lock_file(self) -> Iterator[int]:
        self._make_folder()
        # Opened anew each time: a lock belongs to the open file, so that threads take turns, too.
        file = _open(self._folder / "lock", os.O_RDWR | os.O_CREAT)
        try:
            yield file
        finally:
            os.close(file)

    def _append(self, line: bytes, at: datetime, *, durable: bool) -> None:
        path, is_new = self._file_for(at)
        file = _open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            _write_all(file, b"\n" + line if torn else line)
            if durable:
                os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            _make_durable(self._folder)

    def _file_for(self, at: datetime) -> tuple[Path, bool]:
        files = self._files()
        month = f"{at.year:04d}-{at.month:02d}"
        if files and files[-1].stem[-7:] == month:
            return files[-1], False
        number = int(files[-1].stem.split("-")[0]) + 1 if files else 1
        return self._folder / f"{number:06d}-{month}.log", True

    def _last_turn(self) -> Entry | None:
        for path in reversed(self._files()):
            for line in _backwards(path):
                entry = _read(line, facts=False)
                if entry and entry.kind == TURN:
                    return entry
        return None


def fresh_nonce(after: str | None = None) -> str:
    """Return a fresh nonce, counted after another one, or from 0."""
    count = count_of(after) + 1 if after else 0
    return f"{count:012d}-{secrets.token_hex(12)}"


def count_of(nonce: str) -> int:
    """Return the count in a nonce."""
    return int(nonce.partition("-")[0])


def _line(kind: str, nonce: str, facts: dict[str, Any]) -> bytes:
    text = f"{kind} {nonce} {json.dumps(facts, separators=(',', ':'))}".encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read(line: bytes, *, facts: bool = True) -> Entry | None:
    """Read a line; None where its checksum does not hold."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    kind, nonce, rest = text.decode().split(" ", 2)
    return Entry(kind, "" if nonce == "-" else nonce, json.loads(rest) if facts else {})


def _backwards(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, the last first, without reading more than is asked for."""
    with path.open("rb") as file:
        position, rest = file.seek(0, os.SEEK_END), b""
        while position > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            rest, *lines = (file.read(step) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest


def _place(files: list[Path], count: int) -> tuple[int, int]:
    """Return the file, and where in it, after the last turn that was counted before `count`."""
    place = (0, 0)
    for number, path in enumerate(files):
        with path.open("rb") as file:
            offset = 0
            for line in file:
                offset += len(line)
                entry = _read(line, facts=False)
                if entry and entry.kind == TURN and count_of(entry.nonce) < count:
                    place = (number, offset)
    return place


def _open(path: Path, flags: int) -> int:
    """Open a file of the folder's owner: a command that root runs must not shut the service out of its journal."""
    file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    return file


def _write_durably(path: Path, content: bytes) -> None:
    file = _open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        _write_all(file, content)
        os.fsync(file)
    finally:
        os.close(file)


def _write_all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _make_durable(folder: Path) -> None:
    """Make the names in a folder durable."""
    file = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
