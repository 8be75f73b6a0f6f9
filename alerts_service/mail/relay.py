"""The dialogue with the relay (RFC 5321): one connection, kept, and one message at a time.

What the relay says is returned as it was said, with the stage it was said at; alerts_service.rules.replies
knows what it means. Only a relay that cannot be talked to raises.
"""

import contextlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from alerts_service.errors import AlertsError
from alerts_service.mail.lines import one_line
from alerts_service.rules.replies import Reply, Stage

# RFC 5321, 4.5.3.2, in seconds. Only the way to a relay that is not there is given up sooner.
_TO_CONNECT = 30
_FOR_A_REPLY = 300
_FOR_DATA = 120
_FOR_A_BLOCK = 180
_AFTER_THE_FINAL_DOT = 600

_TO_LEAVE = 5

_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_CLOSING = 421
_GO_AHEAD = 354
_OK = range(200, 300)
_REPLY_CODES = range(200, 600)
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
_LONGEST_TEXT = 500
_NOT_INTERNATIONAL = Reply(
    Stage.RCPT, 553, "5.6.7 The relay does not take addresses with other than ASCII letters before the @"
)


class RelayDown(AlertsError):
    """The relay cannot be used: {reason}"""

    def __init__(self, *, reason: str, uncertain: bool = False) -> None:
        super().__init__(reason=reason)
        # The connection broke after the final dot: the message may have been taken.
        self.uncertain = uncertain


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
            parts.scheme,
            parts.hostname or "",
            port,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )


class _Refused(Exception):
    """The relay answered, and will not go on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


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

    def wait(self, seconds: float) -> None:
        """Set how long the next write or reply may take."""
        if self.sock:
            self.sock.settimeout(seconds)


class Relay:
    """A relay, connected to when the first message is sent. Not for several threads at once."""

    def __init__(self, url: str) -> None:
        self._address = _Address.read(url)
        self._session: _Session | None = None

    def send(self, sender: str, recipient: str, message: bytes) -> Reply:
        """Hand over one message and return the reply that decided its fate.

        The message's lines end with CRLF and its dots are not yet doubled; `sender` and `recipient` are
        bare addresses. Raises RelayDown when the relay cannot be reached or the connection breaks;
        `uncertain` is then true when that was after the final dot. A connection kept since an earlier
        message that is found closed, or is closed at MAIL, is made anew, once.
        """
        try:
            session = self._begin(sender, recipient, len(message))
            self._command(session, Stage.RCPT, f"RCPT TO:<{recipient}>")
            self._command(session, Stage.DATA, "DATA", seconds=_FOR_DATA, wanted=_GO_AHEAD)
            return self._deliver(session, message)
        except _Refused as refused:
            self._recover(refused.reply)
            return refused.reply

    def close(self) -> None:
        """End the session, politely where that is still possible."""
        session, self._session = self._session, None
        if session and session.sock:
            session.wait(_TO_LEAVE)
            with contextlib.suppress(smtplib.SMTPException, OSError):
                session.quit()
            session.close()

    def _begin(self, sender: str, recipient: str, size: int) -> _Session:
        if self._session:
            try:
                return self._mail(self._session, sender, recipient, size)
            except RelayDown:
                pass
            except _Refused as refused:
                if refused.reply.code != _CLOSING:
                    raise
            self.close()
        self._session = self._connected()
        return self._mail(self._session, sender, recipient, size)

    def _mail(self, session: _Session, sender: str, recipient: str, size: int) -> _Session:
        options = [f"SIZE={size}"] if session.has_extn("size") else []
        session.command_encoding = "ascii"
        if not recipient.isascii():
            if not session.has_extn("smtputf8"):
                raise _Refused(_NOT_INTERNATIONAL)
            session.command_encoding = "utf-8"
            options += ["SMTPUTF8", "BODY=8BITMIME"]
        self._command(session, Stage.MAIL, " ".join([f"MAIL FROM:<{sender}>", *options]))
        return session

    def _command(
        self,
        session: _Session,
        stage: Stage,
        line: str,
        *,
        seconds: float = _FOR_A_REPLY,
        wanted: int | None = None,
    ) -> None:
        session.wait(seconds)
        try:
            reply = _reply(stage, *session.docmd(line))
        except (smtplib.SMTPException, OSError) as error:
            raise self._broken(error) from None
        if reply.code != wanted and (wanted or reply.code not in _OK):
            raise _Refused(reply)

    def _deliver(self, session: _Session, message: bytes) -> Reply:
        session.wait(_FOR_A_BLOCK)
        try:
            # The body and its final dot in one write; a write that fails has not brought the dot across.
            session.send(_LEADING_DOT.sub(b"..", message) + b".\r\n")
        except (smtplib.SMTPException, OSError) as error:
            raise self._broken(error) from None
        session.wait(_AFTER_THE_FINAL_DOT)
        try:
            reply = _reply(Stage.DATA, *session.getreply())
        except (smtplib.SMTPException, OSError) as error:
            raise self._broken(error, uncertain=True) from None
        if reply.code not in _OK:
            raise _Refused(reply)
        return reply

    def _recover(self, reply: Reply) -> None:
        """Leave the connection ready for the next message, or closed."""
        session = self._session
        if session is None or reply.code == _CLOSING:
            self.close()
            return
        session.wait(_FOR_A_REPLY)
        try:
            reset = session.rset()[0] in _OK
        except (smtplib.SMTPException, OSError):
            reset = False
        if not reset:
            self.close()

    def _connected(self) -> _Session:
        try:
            session = _Session(self._address)
            try:
                self._introduce(session)
            except BaseException:
                session.close()
                raise
        except smtplib.SMTPResponseException as error:
            if error.smtp_code not in _REPLY_CODES:
                raise self._broken(error) from None
            raise _Refused(_reply(Stage.CONNECT, error.smtp_code, _octets(error.smtp_error))) from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._broken(error) from None
        return session

    def _introduce(self, session: _Session) -> None:
        session.ehlo_or_helo_if_needed()
        if self._address.scheme == "smtp+starttls":
            session.starttls(context=ssl.create_default_context())
            session.ehlo_or_helo_if_needed()
        if self._address.user:
            session.login(self._address.user, self._address.password)

    def _broken(self, error: Exception, *, uncertain: bool = False) -> RelayDown:
        self.close()
        return RelayDown(reason=f"{self._address.host}:{self._address.port}: {error}", uncertain=uncertain)


def _reply(stage: Stage, code: int, text: bytes) -> Reply:
    if code not in _REPLY_CODES:
        raise smtplib.SMTPException("the relay answers with something that is no reply")
    return Reply(stage, code, one_line(text.decode("utf-8", "replace"))[:_LONGEST_TEXT])


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
