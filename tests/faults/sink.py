"""A relay on loopback that outlives every sender: it keeps each message before it answers, and fails at random.

It speaks PIPELINING. What it has kept is what a real relay would have taken.
"""

import contextlib
import random
import re
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any

_EXTENSIONS = "250-sink\r\n250-SIZE 10000000\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING"
_ADDRESS = re.compile(r"<([^>]*)>")


@dataclass(frozen=True)
class Stored:
    """One message as it was taken. `number` is what the reply names it by."""

    number: int
    recipient: str
    message_id: str
    at: float


@dataclass(frozen=True)
class Faults:
    """How likely each is: 421 as greeting and at MAIL, 450 at RCPT, no reply after the final dot."""

    greeting_421: float = 0.0
    mail_421: float = 0.0
    rcpt_450: float = 0.0
    ack_drop: float = 0.0


class _HangUp(Exception):
    """The connection ends here."""


class Sink:
    """The server. Times are those of time.time()."""

    def __init__(self, seed: int = 0) -> None:
        self.faults = Faults()
        # Seconds between the final dot and the reply; `open` is cleared to let every reply wait.
        self.delay = 0.0
        self.open = threading.Event()
        self.open.set()
        # Called with a recipient; what it returns is said instead of 250.
        self.refuse: Callable[[str], str | None] = lambda recipient: None
        self.stored: list[Stored] = []
        self.asked: list[tuple[str, float]] = []
        self.ack_drops: set[int] = set()
        self.connections = 0
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address to send to."""
        return f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """End the server and every connection."""
        self.open.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def copies(self) -> dict[str, list[Stored]]:
        """What was taken for each recipient, oldest first."""
        found: dict[str, list[Stored]] = defaultdict(list)
        for each in list(self.stored):
            found[each.recipient].append(each)
        return found

    def doubled(self) -> list[Stored]:
        """Every copy beyond the first."""
        return [copy for copies in self.copies().values() for copy in copies[1:]]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._counted(), contextlib.suppress(OSError, _HangUp), connection, connection.makefile("rwb") as stream:
            _say(stream, "421 4.3.2 later" if self._happens(self.faults.greeting_421) else "220 sink")
            recipient, refused = "", None
            while line := stream.readline():
                verb, words = line[:4].upper(), line.decode()
                if verb == b"RCPT":
                    recipient, refused = _address(words), self._refusal(_address(words))
                    _say(stream, refused or "250 2.1.5 ok")
                elif verb == b"MAIL":
                    _say(stream, "421 4.3.2 too many" if self._happens(self.faults.mail_421) else "250 2.1.0 ok")
                elif verb == b"DATA":
                    _say(stream, "503 5.5.1 no recipient" if refused else "354 go on")
                    if not refused:
                        self._take(stream, recipient)
                else:
                    _say(stream, {b"EHLO": _EXTENSIONS, b"QUIT": "221 bye"}.get(verb, "250 2.0.0 ok"))

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.connections += 1
        try:
            yield
        finally:
            with self._lock:
                self.connections -= 1

    def _refusal(self, recipient: str) -> str | None:
        self.asked.append((recipient, time.time()))
        return self.refuse(recipient) or ("450 4.2.1 busy" if self._happens(self.faults.rcpt_450) else None)

    def _take(self, stream: Any, recipient: str) -> None:
        lines = []
        while (line := stream.readline()) != b".\r\n":
            if not line:
                raise _HangUp
            lines.append(line)
        message_id = BytesHeaderParser().parsebytes(b"".join(lines))["Message-ID"].strip("<>")
        with self._lock:
            number = len(self.stored) + 1
            self.stored.append(Stored(number, recipient, message_id, time.time()))
        time.sleep(self.delay)
        self.open.wait()
        if self._happens(self.faults.ack_drop):
            self.ack_drops.add(number)
            raise _HangUp
        _say(stream, f"250 2.0.0 queued as {number}")

    def _happens(self, probability: float) -> bool:
        with self._lock:
            return self._chance.random() < probability


def _address(line: str) -> str:
    found = _ADDRESS.search(line)
    assert found, line
    return found[1]


def _say(stream: Any, words: str) -> None:
    stream.write(words.encode() + b"\r\n")
    stream.flush()
    if words.startswith(("421", "221")):
        raise _HangUp
