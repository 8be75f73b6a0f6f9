"""The dialogue with the relay: each outcome, on a real socket."""

import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts_service.config import Settings
from alerts_service.mail.encode import Words, stencil
from alerts_service.mail.relay import Relay, RelayDown
from alerts_service.rules.replies import Meaning, Reply, Stage, meaning
from tests.conftest import START
from tests.databases import free_port
from tests.mail.scripted import DROP, ScriptedRelay
from tests.relays import Relay as RealRelay

Connect = Callable[[str], Relay]
SENDER = "alerts@care.example.org"
READER = "reader@example.org"
MESSAGE = b"Subject: x\r\n\r\n.\r\n..a\r\n.b\r\ntext\r\n"
SINK = Path(__file__).parents[3] / "shared" / "tools" / "smtp_sink.py"


@pytest.fixture
def peer() -> Iterator[ScriptedRelay]:
    """The server at the other end."""
    server = ScriptedRelay()
    yield server
    server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Relay]]:
    """Make clients that are closed when the test ends."""
    clients: list[Relay] = []

    def make(url: str) -> Relay:
        clients.append(Relay(url))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def sender(peer: ScriptedRelay, connect: Connect) -> Relay:
    """A relay's client, connected to `peer` when it first sends."""
    return connect(peer.url)


def test_a_message_is_taken_as_it_is_with_its_dots_doubled_once(peer: ScriptedRelay, sender: Relay):
    assert sender.send(SENDER, READER, MESSAGE) == Reply(Stage.DATA, 250, "2.0.0 queued as 1")
    assert peer.bodies == [b"Subject: x\r\n\r\n..\r\n...a\r\n..b\r\ntext\r\n"]
    assert peer.lines[1:] == [f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}", f"RCPT TO:<{READER}>", "DATA"]


def test_what_a_real_server_receives_is_what_was_sent():
    server = RealRelay()
    client = Relay(server.url)
    try:
        assert client.send(SENDER, READER, MESSAGE).code == 250
        assert server.received[0].raw == MESSAGE
    finally:
        client.close()
        server.stop()


def test_one_connection_carries_many_messages(peer: ScriptedRelay, sender: Relay):
    for _ in range(3):
        sender.send(SENDER, READER, MESSAGE)
    assert peer.connections == 1
    assert len(peer.bodies) == 3


@pytest.mark.parametrize(
    ("verb", "said", "stage", "means"),
    [
        ("MAIL", "550 5.7.1 not you", Stage.MAIL, Meaning.WE_ARE_REFUSED),
        ("MAIL", "451 4.3.0 later", Stage.MAIL, Meaning.RETRY),
        ("RCPT", "550 5.1.1 no such user", Stage.RCPT, Meaning.ADDRESS_DEAD),
        ("RCPT", "550 no", Stage.RCPT, Meaning.ADDRESS_REFUSED),
        ("RCPT", "451 4.2.0 greylisted", Stage.RCPT, Meaning.RETRY),
        ("DATA", "554 5.5.1 no valid recipients", Stage.DATA, Meaning.WE_ARE_REFUSED),
        (".", "554 5.7.1 content", Stage.DATA, Meaning.WE_ARE_REFUSED),
        (".", "452 4.3.1 disk full", Stage.DATA, Meaning.RETRY),
    ],
)
def test_a_refusal_is_told_with_its_stage_and_the_connection_goes_on(
    peer: ScriptedRelay, sender: Relay, verb: str, said: str, stage: Stage, means: Meaning
):
    peer.script[verb].append(said)
    reply = sender.send(SENDER, READER, MESSAGE)
    assert (reply.stage, str(reply), meaning(reply)) == (stage, said, means)
    assert sender.send(SENDER, READER, MESSAGE).code == 250
    assert peer.connections == 1
    assert "rset" in peer.lines


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_a_closing_421_puts_the_message_back_and_the_next_gets_a_new_connection(
    peer: ScriptedRelay, sender: Relay, verb: str
):
    peer.script[verb].append("421 4.3.2 closing")
    reply = sender.send(SENDER, READER, MESSAGE)
    assert reply.code == 421
    assert meaning(reply) is Meaning.REQUEUE
    assert sender.send(SENDER, READER, MESSAGE).code == 250
    assert peer.connections == 2


def test_a_421_to_a_later_message_s_mail_is_answered_by_connecting_anew(peer: ScriptedRelay, sender: Relay):
    sender.send(SENDER, READER, MESSAGE)
    peer.script["MAIL"].append("421 4.7.0 too many messages")
    assert sender.send(SENDER, READER, MESSAGE).code == 250
    assert peer.connections == 2


def test_a_connection_that_was_closed_while_idle_is_made_anew(peer: ScriptedRelay, sender: Relay):
    sender.send(SENDER, READER, MESSAGE)
    peer.hang_up()
    assert sender.send(SENDER, READER, MESSAGE).code == 250
    assert len(peer.bodies) == 2


def test_a_421_in_greeting_is_the_relay_s_own(peer: ScriptedRelay, sender: Relay):
    peer.script["CONNECT"].append("421 4.3.2 too busy")
    reply = sender.send(SENDER, READER, MESSAGE)
    assert (reply.stage, reply.code) == (Stage.CONNECT, 421)
    assert sender.send(SENDER, READER, MESSAGE).code == 250


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"])
def test_a_connection_that_breaks_before_the_final_dot_is_certain_not_to_have_sent(
    peer: ScriptedRelay, sender: Relay, verb: str
):
    peer.script[verb].append(DROP)
    # Longer than any socket's buffer: the body is not yet written when the connection breaks.
    with pytest.raises(RelayDown) as raised:
        sender.send(SENDER, READER, b"x" * 70 + b"\r\n" if verb != "BODY" else (b"x" * 70 + b"\r\n") * 500_000)
    assert not raised.value.uncertain
    assert sender.send(SENDER, READER, MESSAGE).code == 250


def test_a_connection_that_breaks_after_the_final_dot_is_uncertain(peer: ScriptedRelay, sender: Relay):
    peer.script["."].append(DROP)
    with pytest.raises(RelayDown) as raised:
        sender.send(SENDER, READER, MESSAGE)
    assert raised.value.uncertain
    assert len(peer.bodies) == 1


def test_an_answer_that_is_no_reply_after_the_final_dot_is_uncertain(peer: ScriptedRelay, sender: Relay):
    peer.script["."].append("what?")
    with pytest.raises(RelayDown) as raised:
        sender.send(SENDER, READER, MESSAGE)
    assert raised.value.uncertain


def test_an_answer_that_is_no_reply_ends_the_connection(peer: ScriptedRelay, sender: Relay):
    peer.script["RCPT"].append("what?")
    with pytest.raises(RelayDown):
        sender.send(SENDER, READER, MESSAGE)
    assert sender.send(SENDER, READER, MESSAGE).code == 250
    assert peer.connections == 2


def test_a_relay_that_is_not_there_is_down():
    port = free_port()
    with pytest.raises(RelayDown, match=rf"127\.0\.0\.1:{port}"):
        Relay(f"smtp://127.0.0.1:{port}").send(SENDER, READER, MESSAGE)


def test_a_reply_of_many_lines_is_one_line(peer: ScriptedRelay, sender: Relay):
    peer.script["RCPT"].append("550-5.1.1 no\r\n550-5.1.1 such\x07\r\n550 5.1.1 user")
    assert sender.send(SENDER, READER, MESSAGE).text == "5.1.1 no 5.1.1 such 5.1.1 user"


def test_an_international_address_is_sent_where_the_relay_announces_it(peer: ScriptedRelay, sender: Relay):
    assert sender.send(SENDER, "josé@example.org", MESSAGE).code == 250
    assert f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)} SMTPUTF8 BODY=8BITMIME" in peer.lines
    assert "RCPT TO:<josé@example.org>" in peer.lines
    sender.send(SENDER, READER, MESSAGE)
    assert peer.lines[-3] == f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}"


def test_an_international_address_is_refused_where_the_relay_does_not(peer: ScriptedRelay, sender: Relay):
    peer.extensions.remove("SMTPUTF8")
    reply = sender.send(SENDER, "josé@example.org", MESSAGE)
    assert (reply.stage, reply.code, reply.enhanced) == (Stage.RCPT, 553, "5.6.7")
    assert not [line for line in peer.lines if line.startswith("RCPT")]
    assert sender.send(SENDER, READER, MESSAGE).code == 250


def test_a_wrong_password_is_the_relay_s_refusal(peer: ScriptedRelay):
    peer.extensions.append("AUTH PLAIN")
    peer.script["AUTH"].append("535 5.7.8 wrong")
    reply = Relay(f"smtp://us%40er:pass@127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE)
    assert (reply.stage, reply.code) == (Stage.CONNECT, 535)


def test_the_right_password_lets_mail_through(peer: ScriptedRelay, connect: Connect):
    peer.extensions.append("AUTH PLAIN")
    peer.script["AUTH"].append("235 2.7.0 welcome")
    assert connect(f"smtp://user:pa%3Ass@127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE).code == 250


def test_starttls_is_not_given_up_where_the_relay_does_not_offer_it(peer: ScriptedRelay):
    with pytest.raises(RelayDown, match="STARTTLS"):
        Relay(f"smtp+starttls://127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE)
    assert peer.bodies == []


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    made = ["openssl", *request.split(), "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not here")
    return folder


def _server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def secured(certificate: Path) -> Iterator[ScriptedRelay]:
    """A server that offers STARTTLS."""
    server = ScriptedRelay(_server_context(certificate))
    server.extensions.append("STARTTLS")
    yield server
    server.stop()


def test_starttls_with_a_trusted_certificate_sends(
    secured: ScriptedRelay, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    client = Relay(f"smtp+starttls://127.0.0.1:{secured.port}")
    assert client.send(SENDER, READER, MESSAGE).code == 250
    client.close()


def test_tls_from_the_first_octet_with_a_trusted_certificate_sends(
    certificate: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    server = ScriptedRelay(_server_context(certificate), tls_at_once=True)
    assert connect(f"smtps://127.0.0.1:{server.port}").send(SENDER, READER, MESSAGE).code == 250
    server.stop()


def test_tls_from_the_first_octet_with_a_certificate_nobody_vouches_for_sends_nothing(certificate: Path):
    server = ScriptedRelay(_server_context(certificate), tls_at_once=True)
    with pytest.raises(RelayDown, match="certificate"):
        Relay(f"smtps://127.0.0.1:{server.port}").send(SENDER, READER, MESSAGE)
    assert server.lines == []
    server.stop()


def test_starttls_with_a_certificate_nobody_vouches_for_sends_nothing(secured: ScriptedRelay):
    with pytest.raises(RelayDown, match="certificate"):
        Relay(f"smtp+starttls://127.0.0.1:{secured.port}").send(SENDER, READER, MESSAGE)
    assert not [line for line in secured.lines if line.startswith("MAIL")]


@pytest.mark.skipif(not SINK.is_file(), reason="the fault-injecting relay is not beside this tree")
def test_a_durable_relay_with_faults_gives_each_its_outcome(settings: Settings, tmp_path: Path):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, str(SINK), "--port", str(port), "--journal", str(tmp_path / "journal"), "--max-msgs", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = stencil(
        Words("digest", "en", "x", ".\n", "<p>.</p>\n"),
        settings=settings,
        list_mail=False,
        from_address=settings.from_address,
    )

    def send(address: str) -> Reply:
        return client.send(SENDER, address, made.fill(address=address, message_id="a@b.org", date=START))

    client = Relay(f"smtp://127.0.0.1:{port}")
    try:
        _wait_for(lambda: send("a@example.org"))
        assert meaning(send("a.5xx@example.org")) is Meaning.ADDRESS_DEAD
        assert meaning(send("a.4xx1@example.org")) is Meaning.RETRY
        assert meaning(send("a.4xx1@example.org")) is Meaning.SENT
        assert meaning(send("a.data5@example.org")) is Meaning.WE_ARE_REFUSED
        with pytest.raises(RelayDown) as raised:
            send("a.ackdrop1@example.org")
        assert raised.value.uncertain
        for number in range(5):
            assert send(f"b{number}@example.org").code == 250
    finally:
        client.close()
        server.terminate()
        server.wait(10)


def _wait_for(attempt: Callable[[], object]) -> None:
    for _ in range(100):
        try:
            attempt()
        except RelayDown:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the relay did not start")
