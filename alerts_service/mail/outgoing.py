"""What goes out on a socket that never blocks: as much as it takes at once, the rest when it takes more."""

import socket
import ssl
from collections.abc import Callable, Sequence


class Outgoing:
    """The octets on their way out. `rest` is what the socket has not taken yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.rest = b""
        self._send: Callable[[Sequence[bytes]], int] = sock.sendmsg
        if isinstance(sock, ssl.SSLSocket):  # which cannot write several pieces at once
            self._send = lambda pieces: sock.send(b"".join(pieces))

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write what is left, and these pieces behind it, in one go. Raises OSError where the connection has ended."""
        if self.rest:
            pieces = (self.rest, *pieces)
        try:
            sent = self._send(pieces)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            sent = 0
        self.rest = b"".join(pieces)[sent:] if sent < sum(map(len, pieces)) else b""
