"""The way to a relay: connect, greet, secure, sign in (RFC 5321, 3207, 4954), by the standard library's client.

It blocks, so it is walked in a thread; what is said on the open connection is alerts_service.mail.dialogue's.
"""

import smtplib
import socket
import ssl
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from alerts_service.errors import AlertsError
from alerts_service.mail.replies import clean
from alerts_service.rules.replies import CLOSING

# In seconds. RFC 5321, 4.5.3.2 allows five minutes for a greeting; a relay that is not there is given up sooner.
_TO_CONNECT = 30
_FOR_A_REPLY = 300

_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_REPLY_CODES = range(200, 600)


class RelayDown(AlertsError):
    """The relay cannot be used: {reason}"""

    def __init__(self, *, reason: str, turned_away: bool = False) -> None:
        super().__init__(reason=reason)
        # It is there, and said 421: for now it takes no more connections.
        self.turned_away = turned_away


@dataclass(frozen=True)
class Opened:
    """A connection on which MAIL can be said, and what the relay announced there, in lower case."""

    sock: socket.socket
    extensions: Collection[str]


@dataclass(frozen=True)
class _Address:
    """A relay's address, read from the setting."""

    scheme: str
    host: str
    port: int
    user: str
    password: str

    @classmethod
    def read(cls, url: str) -> "_Address":
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        return cls(
            parts.scheme, parts.hostname or "", port, unquote(parts.username or ""), unquote(parts.password or "")
        )


class _Session(smtplib.SMTP):
    """smtplib's connection, with the way there timed apart from the waits for replies."""

    def __init__(self, address: _Address) -> None:
        self._at_once = ssl.create_default_context() if address.scheme == "smtps" else None
        super().__init__(address.host, address.port, timeout=_FOR_A_REPLY)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), _TO_CONNECT)
        # The envelope's short lines must not wait for one another (Nagle).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._at_once:
            sock = self._at_once.wrap_socket(sock, server_hostname=host)
        sock.settimeout(timeout)
        return sock


def connect(url: str) -> Opened:
    """Connect to the relay at `url`, as in ALERTS_SMTP_URL. Raises RelayDown, with what it said if it spoke."""
    address = _Address.read(url)
    try:
        session = _Session(address)
        try:
            _introduce(session, address)
        except BaseException:
            session.close()
            raise
    except (smtplib.SMTPException, OSError) as error:
        turned_away = getattr(error, "smtp_code", None) == CLOSING
        raise RelayDown(reason=f"{address.host}:{address.port}: {_said(error)}", turned_away=turned_away) from None
    assert session.sock is not None
    return Opened(session.sock, frozenset(session.esmtp_features))


def _introduce(session: _Session, address: _Address) -> None:
    session.ehlo_or_helo_if_needed()
    if address.scheme == "smtp+starttls":
        session.starttls(context=ssl.create_default_context())
        session.ehlo_or_helo_if_needed()
    if address.user:
        session.login(address.user, address.password)


def _said(error: Exception) -> str:
    if not isinstance(error, smtplib.SMTPResponseException) or error.smtp_code not in _REPLY_CODES:
        return str(error)
    said = error.smtp_error
    return f"{error.smtp_code} {clean(said if isinstance(said, bytes) else said.encode())}"
