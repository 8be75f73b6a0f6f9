"""A load generator for one small form: clients that each send their next request when the last is answered.

One thread waits on all connections and sends bytes made beforehand, so that the generator is not what is measured.
"""

import itertools
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What the clients met: seconds a request, in all, and the answers that were not the expected one."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    wrong: int = 0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latencies) / self.seconds


@dataclass
class _Client:
    """One connection that is kept alive."""

    port: int
    connection: socket.socket | None = None
    sent_at: float = 0.0
    received: bytes = b""

    def send(self, request: bytes) -> socket.socket:
        """Send a request, over a new connection where the server has ended the last."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port))
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at, self.received = time.perf_counter(), b""
        self.connection.sendall(request)
        return self.connection

    def answered(self) -> bool:
        """Read what is there; say whether the answer is whole."""
        assert self.connection is not None
        read = self.connection.recv(65536)
        if not read:
            raise ConnectionError("the server ended the connection before it answered")
        self.received += read
        head, gap, body = self.received.partition(b"\r\n\r\n")
        if not gap:
            return False
        fields = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in fields if line.startswith(b"content-length:")), 0)
        return len(body) >= length

    def close_if_told(self) -> None:
        """Do as the answer's Connection field says."""
        if b"connection: close" in self.received.lower() and self.connection is not None:
            self.connection.close()
            self.connection = None


def form(path: str, fields: Callable[[int], str]) -> Callable[[int], bytes]:
    """Return a maker of POST requests: `fields` gives the encoded form of the n-th."""

    def make(number: int) -> bytes:
        body = fields(number).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    return make


def drive(port: int, make: Callable[[int], bytes], *, clients: int, seconds: float, first: int = 1) -> Load:
    """Keep every client busy for some seconds; expect 303 See Other."""
    load, numbers = Load(), itertools.count(first)
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            client = _Client(port)
            selector.register(client.send(make(next(numbers))), selectors.EVENT_READ, client)
        started = time.perf_counter()
        while time.perf_counter() < started + seconds or not load.latencies:
            for client in _ready(selector):
                _note(load, client)
                selector.unregister(client.connection)  # type: ignore[arg-type]
                client.close_if_told()
                selector.register(client.send(make(next(numbers))), selectors.EVENT_READ, client)
        load.seconds = time.perf_counter() - started
        for key in list(selector.get_map().values()):
            key.data.connection.close()
    return load


def _ready(selector: selectors.BaseSelector) -> Iterator[_Client]:
    for key, _ in selector.select(timeout=1):
        if key.data.answered():
            yield key.data


def _note(load: Load, client: _Client) -> None:
    load.latencies.append(time.perf_counter() - client.sent_at)
    load.wrong += not client.received.startswith(b"HTTP/1.1 303")
