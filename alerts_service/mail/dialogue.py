"""The dialogue with a relay over one connection that never blocks (RFC 5321), pipelined where announced (RFC 2920).

Whoever owns a dialogue waits for its socket (`number`, `wants_write`), calls `read`, `write` and `expire`, and
gives it messages when it asks for them (`supply`). The fate of each is told through `report`, in the order of
the relay's replies. One write carries an envelope; another the content with its final dot and, behind it, the
envelope of the next message. So a connection has one final dot on its way at most, and `report` has told of
the message before when the next dot is written: what it makes durable bounds what can be sent twice.

It knows no meaning: replies are told as they were said, with their stage.
"""

import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from alerts_service.mail import commands
from alerts_service.mail.commands import Message, Part, Step
from alerts_service.mail.outgoing import Outgoing
from alerts_service.mail.replies import NoReply, Replies, clean
from alerts_service.rules.replies import CLOSING, Reply, Stage

# RFC 5321, 4.5.3.2, in seconds: for a reply, for 354, for a block of content, after the final dot.
_FOR_A_REPLY = 300
_FOR_GO_AHEAD = 120
_FOR_A_BLOCK = 180
_AFTER_THE_FINAL_DOT = 600

_NOT_INTERNATIONAL = Reply(
    Stage.RCPT, 553, "5.6.7 The relay does not take addresses with other than ASCII letters before the @"
)


@dataclass(frozen=True, slots=True)
class Broken:
    """The connection ended before a reply decided. `uncertain`: after the final dot, so it may have been taken."""

    reason: str
    uncertain: bool


_STAGES = {Step.MAIL: Stage.MAIL, Step.RCPT: Stage.RCPT, Step.DATA: Stage.DATA, Step.CONTENT: Stage.DATA}
_PATIENCE = {Step.DATA: _FOR_GO_AHEAD, Step.CONTENT: _AFTER_THE_FINAL_DOT, Step.EMPTY: _AFTER_THE_FINAL_DOT}


class Dialogue:
    """One connection, greeted and ready for MAIL. Times are monotonic seconds. Not for several threads at once.

    `supply` returns the next message, or None; `may_send` is asked when the relay is ready for the content, the
    last moment at which it can be held back (by giving the connection up).
    """

    def __init__(
        self,
        sock: socket.socket,
        extensions: Collection[str],
        *,
        supply: Callable[[], Message | None],
        report: Callable[[Message, Reply | Broken], None],
        may_send: Callable[[Message], bool],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._out = Outgoing(sock)
        # How much of what waits to go out stands behind the final dot.
        self._behind_dot = 0
        # The socket's file number, for whoever waits; it stays the same after the end.
        self.number = sock.fileno()
        self._pipelining = "pipelining" in extensions
        self._sizes = "size" in extensions
        self._international = "smtputf8" in extensions
        self._supply, self._report, self._may_send = supply, report, may_send
        self.closed = False
        # Begun and not told of: at most one whose content is on its way, and one whose envelope is.
        self.in_hand: deque[Message] = deque()
        self._expected: deque[Step] = deque()
        self._unsaid: deque[Part] = deque()
        self._refusal: Reply | None = None
        self._open_transaction = False
        self._replies = Replies()
        self._deadline = float("inf")

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._out.rest)

    def begin(self, now: float) -> None:
        """Ask for a message and say its envelope, if there is room for one."""
        if self._has_room() and (parts := self._next_envelope()):
            self._say(parts)
            self._wait_from(now)

    def read(self, now: float) -> None:
        """Take what the relay has said, and answer."""
        try:
            got = self._socket.recv(65_536)
            while isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
                got += self._socket.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._break(str(error))
            return
        usual = (
            commands.USUAL_ANSWER.fullmatch(got)
            if self._expected == commands.USUAL and self._replies.is_clear
            else None
        )
        if usual:
            self._take_usual(int(usual[1]), usual[2], now)
        elif got:
            self._take_all(got, now)
        else:
            self._break("the relay closed the connection")
        self._wait_from(now)

    def write(self, now: float) -> None:
        """Go on with what could not be written at once."""
        self._write(())
        self._wait_from(now)

    def expire(self, now: float) -> None:
        """Give the connection up if the relay has been silent for too long."""
        if now >= self._deadline and not self.closed:
            self._break("the relay did not answer in time")

    def close(self, reason: str) -> None:
        """End the connection: politely where nothing is under way."""
        if not self.closed and not self.in_hand:
            with contextlib.suppress(OSError):
                self._socket.send(b"QUIT\r\n")
        self._break(reason)

    def _has_room(self) -> bool:
        if self.closed or not self.in_hand:
            return not self.closed
        return self._pipelining and len(self.in_hand) == 1 and self._expected[0] is Step.CONTENT

    def _next_envelope(self) -> list[Part]:
        message = self._supply()
        while message and not (message.recipient.isascii() or self._international):
            self._report(message, _NOT_INTERNATIONAL)
            message = self._supply()
        if message is None:
            return []
        self.in_hand.append(message)
        reset = [commands.RESET] if self._open_transaction else []
        self._open_transaction = False
        return reset + commands.envelope(message, pipelined=self._pipelining, with_size=self._sizes)

    def _say(self, parts: list[Part]) -> None:
        """Write parts in one go; without pipelining, each waits for the reply to the one before."""
        if not self._pipelining:
            self._unsaid.extend(parts)
            parts = [] if self._expected or not self._unsaid else [self._unsaid.popleft()]
        if not parts:
            return
        words: list[bytes] = []
        for steps, said in parts:
            self._expected.extend(steps)
            words += said
            self._behind_dot = 0 if steps is commands.CONTENT else self._behind_dot + len(said[0])
        self._write(words)

    def _write(self, words: Sequence[bytes]) -> None:
        try:
            self._out.write(words)
        except OSError as error:
            self._break(str(error))

    def _wait_from(self, now: float) -> None:
        if self._out.rest:
            self._deadline = now + _FOR_A_BLOCK
        elif self._expected:
            self._deadline = now + _PATIENCE.get(self._expected[0], _FOR_A_REPLY)
        else:
            self._deadline = float("inf")

    def _take_usual(self, code: int, said: bytes, now: float) -> None:
        """Take four replies at once: the content is taken, and the next may come."""
        self._expected.clear()
        self._open_transaction = False
        self._tell(Reply(Stage.DATA, code, clean(said)))
        self._go_on(self._go_ahead(), now)

    def _take_all(self, got: bytes, now: float) -> None:
        try:
            for code, said in self._replies.read(got):
                if not self.closed:
                    self._take(code, said, now)
        except NoReply as error:
            self._break(str(error))

    def _take(self, code: int, said: bytes, now: float) -> None:
        step = self._expected[0] if self._expected else None
        if step is None:
            # A relay that has waited for us too long says so and closes (RFC 5321, 4.5.3.2.7).
            self._break(f"{code} {clean(said)}")
        elif code == CLOSING:
            if step in _STAGES:
                self._tell(self._refusal or Reply(_STAGES[step], code, clean(said)))
                self._expected.clear()
            self._break(f"{code} {clean(said)}")
        elif not commands.fits(step, code):
            self._break(f"the relay answers {code} out of place")
        else:
            self._expected.popleft()
            self._go_on(self._answered(step, code, said), now)

    def _go_on(self, parts: list[Part], now: float) -> None:
        if self.closed:
            return
        if parts or self._unsaid:
            self._say(parts)
        if not self.in_hand:
            self.begin(now)

    def _answered(self, step: Step, code: int, said: bytes) -> list[Part]:
        """Take a reply that fits; return what is to be said next."""
        if step is Step.CONTENT:
            self._open_transaction = False
            self._tell(Reply(Stage.DATA, code, clean(said)))
            return []
        if code in commands.REFUSED and self._refusal is None and step in _STAGES:
            self._refusal = Reply(_STAGES[step], code, clean(said))
        if step is Step.MAIL:
            self._open_transaction = code in commands.OK
        if step is Step.DATA:
            return self._go_ahead() if code == commands.GO_AHEAD else self._refused()
        if self._refusal and not self._pipelining:
            self._unsaid.clear()
            return self._refused()
        return []

    def _refused(self) -> list[Part]:
        assert self._refusal is not None
        refusal, self._refusal = self._refusal, None
        self._tell(refusal)
        return []

    def _go_ahead(self) -> list[Part]:
        self._open_transaction = False
        if self._refusal:
            self._refused()
            return [commands.EMPTY]
        message = self.in_hand[0]
        if not self._may_send(message):
            self._break("held back")
            return []
        following = self._next_envelope() if self._pipelining else []
        return [commands.content(message), *following]

    def _tell(self, fate: Reply | Broken) -> None:
        self._report(self.in_hand.popleft(), fate)

    def _break(self, reason: str) -> None:
        """End the connection and tell of everything in hand."""
        if self.closed:
            return
        self.closed = True
        dot_is_out = (
            bool(self._expected) and self._expected[0] is Step.CONTENT and len(self._out.rest) <= self._behind_dot
        )
        while self.in_hand:
            self._tell(Broken(reason, uncertain=dot_is_out))
            dot_is_out = False
        with contextlib.suppress(OSError):
            self._socket.close()
