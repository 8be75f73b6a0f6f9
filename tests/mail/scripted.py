"""An SMTP server on loopback that does what a script says, line by line: for what a real one does rarely."""

import socket
import ssl
import threading
from collections import defaultdict
from typing import Any

DROP = "drop the connection"
EXTENSIONS = ("SIZE 1000000", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")


class ScriptedRelay:
    """The server. `script` maps a verb (or "CONNECT", "BODY", ".") to its next answers; then all is well."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, tls_at_once: bool = False) -> None:
        self.script: dict[str, list[str]] = defaultdict(list)
        self.extensions: list[str] = list(EXTENSIONS)
        self.lines: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self._tls = tls
        self._tls_at_once = tls_at_once
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def hang_up(self) -> None:
        """Close every connection, as a server does that waited too long."""
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def stop(self) -> None:
        # Only a shutdown wakes the thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._answer_all, args=(connection,), daemon=True).start()

    def _answer_all(self, connection: socket.socket) -> None:
        self.connections += 1
        try:
            with connection:
                self._greet(connection)
        except (OSError, ConnectionError):
            return

    def _greet(self, connection: socket.socket) -> None:
        if self._tls and self._tls_at_once:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rwb") as stream:
            self._say(stream, "CONNECT", "220 scripted")
            if self._talk(stream) and self._tls:
                with self._tls.wrap_socket(connection, server_side=True) as secured, secured.makefile("rwb") as inner:
                    self._talk(inner)

    def _talk(self, stream: Any) -> bool:
        """Answer until the end, or until TLS is to begin; say whether it is."""
        while line := stream.readline():
            self.lines.append(line.decode("utf-8").rstrip("\r\n"))
            verb = self.lines[-1].split(" ")[0].upper()
            if verb == "STARTTLS":
                self._say(stream, verb, "220 go on")
                return True
            self._obey(stream, verb)
        return False

    def _obey(self, stream: Any, verb: str) -> None:
        if verb == "EHLO":
            names = ["scripted", *self.extensions]
            marks = ["-"] * (len(names) - 1) + [" "]
            self._say(stream, verb, "\r\n".join(f"250{mark}{name}" for mark, name in zip(marks, names, strict=True)))
        elif verb == "DATA":
            if self._say(stream, verb, "354 go on").startswith("354"):
                self._take(stream)
        elif verb == "QUIT":
            self._say(stream, verb, "221 bye")
        else:
            self._say(stream, verb, "250 2.0.0 ok")

    def _take(self, stream: Any) -> None:
        if self.script["BODY"]:
            stream.readline()
            self._say(stream, "BODY", "")
        body = b""
        while (line := stream.readline()) not in {b".\r\n", b""}:
            body += line
        self.bodies.append(body)
        self._say(stream, ".", "250 2.0.0 queued as 1")

    def _say(self, stream: Any, verb: str, otherwise: str) -> str:
        said = self.script[verb].pop(0) if self.script[verb] else otherwise
        if said == DROP:
            raise ConnectionError(DROP)
        stream.write(said.encode() + b"\r\n")
        stream.flush()
        if said.startswith(("421", "221")):
            raise ConnectionError(said)
        return said
