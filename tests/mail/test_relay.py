"""The dialogue with the relay: each outcome, on a real socket."""

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts_service.config import Settings
from alerts_service.mail.commands import Message
from alerts_service.mail.dialogue import Broken
from alerts_service.mail.relay import RelayDown
from alerts_service.rules.replies import Meaning, Reply, Stage, meaning
from tests.databases import free_port
from tests.mail.clients import Client
from tests.mail.scripted import DROP, ScriptedRelay
from tests.relays import Relay as RealRelay

Connect = Callable[[str], Client]
SENDER = "alerts@care.example.org"
READER = "reader@example.org"
# Its dots are doubled, as the dialogue takes messages.
MESSAGE = b"Subject: x\r\n\r\n..\r\n...a\r\n..b\r\ntext\r\n"
PLAIN = b"Subject: x\r\n\r\n.\r\n..a\r\n.b\r\ntext\r\n"
OK = Reply(Stage.DATA, 250, "2.0.0 queued as 1")
SINK = Path(__file__).parents[3] / "shared" / "tools" / "smtp_sink.py"


@pytest.fixture(params=["one by one", "pipelined"])
def peer(request: pytest.FixtureRequest) -> Iterator[ScriptedRelay]:
    """The server at the other end, which announces PIPELINING, or does not."""
    server = ScriptedRelay()
    if request.param == "pipelined":
        server.extensions.append("PIPELINING")
    yield server
    server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    """Make clients that are closed when the test ends."""
    clients: list[Client] = []

    def make(url: str) -> Client:
        clients.append(Client(url))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def sender(peer: ScriptedRelay, connect: Connect) -> Client:
    """A relay's client, connected to `peer` when it first sends."""
    return connect(peer.url)


def test_a_message_is_taken_as_it_is(peer: ScriptedRelay, sender: Client):
    assert sender.send(SENDER, READER, MESSAGE) == Reply(Stage.DATA, 250, "2.0.0 queued as 1")
    assert peer.bodies == [b"Subject: x\r\n\r\n..\r\n...a\r\n..b\r\ntext\r\n"]
    assert peer.lines[1:] == [f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}", f"RCPT TO:<{READER}>", "DATA"]


def test_what_a_real_server_receives_is_what_was_sent():
    server = RealRelay()
    client = Client(server.url)
    try:
        assert client.send(SENDER, READER, MESSAGE) == OK
        assert server.received[0].raw == PLAIN
    finally:
        client.close()
        server.stop()


def test_one_connection_carries_many_messages(peer: ScriptedRelay, sender: Client):
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
    peer: ScriptedRelay, sender: Client, verb: str, said: str, stage: Stage, means: Meaning
):
    peer.script[verb].append(said)
    reply = sender.send(SENDER, READER, MESSAGE)
    assert isinstance(reply, Reply)
    assert (reply.stage, str(reply), meaning(reply)) == (stage, said, means)
    assert sender.send(SENDER, READER, MESSAGE) == OK
    assert peer.connections == 1
    assert ("RSET" in peer.lines) == (verb in {"RCPT", "DATA"} and len(peer.bodies) == 1)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_a_closing_421_puts_the_message_back_and_the_next_gets_a_new_connection(
    peer: ScriptedRelay, sender: Client, verb: str
):
    peer.script[verb].append("421 4.3.2 closing")
    reply = sender.send(SENDER, READER, MESSAGE)
    assert isinstance(reply, Reply)
    assert (reply.code, meaning(reply)) == (421, Meaning.REQUEUE)
    assert sender.send(SENDER, READER, MESSAGE) == OK
    assert peer.connections == 2


def test_a_connection_that_was_closed_while_idle_is_made_anew(peer: ScriptedRelay, sender: Client):
    sender.send(SENDER, READER, MESSAGE)
    peer.hang_up()
    sender.settle()
    assert sender.send(SENDER, READER, MESSAGE) == OK
    assert len(peer.bodies) == 2


def test_a_421_in_greeting_is_told_apart_from_a_relay_that_is_not_there(peer: ScriptedRelay, sender: Client):
    peer.script["CONNECT"].append("421 4.3.2 too busy")
    with pytest.raises(RelayDown, match=r"421 4\.3\.2 too busy") as raised:
        sender.send(SENDER, READER, MESSAGE)
    assert raised.value.turned_away
    assert sender.send(SENDER, READER, MESSAGE) == OK


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO"])
def test_a_connection_that_breaks_in_greeting_is_a_relay_that_is_down(peer: ScriptedRelay, sender: Client, verb: str):
    peer.script[verb].append(DROP)
    with pytest.raises(RelayDown) as raised:
        sender.send(SENDER, READER, MESSAGE)
    assert not raised.value.turned_away


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "BODY"])
def test_a_connection_that_breaks_before_the_final_dot_is_certain_not_to_have_sent(
    peer: ScriptedRelay, sender: Client, verb: str
):
    peer.script[verb].append(DROP)
    # Longer than any socket's buffer: the body is not yet written when the connection breaks.
    long = (b"x" * 70 + b"\r\n") * (500_000 if verb == "BODY" else 1)
    fate = sender.send(SENDER, READER, long)
    assert isinstance(fate, Broken)
    assert not fate.uncertain
    assert sender.send(SENDER, READER, MESSAGE) == OK


@pytest.mark.parametrize("said", [DROP, "what?", "354 again?", "150 hm"])
def test_a_connection_that_breaks_after_the_final_dot_is_uncertain(peer: ScriptedRelay, sender: Client, said: str):
    peer.script["."].append(said)
    fate = sender.send(SENDER, READER, MESSAGE)
    assert isinstance(fate, Broken)
    assert fate.uncertain
    assert len(peer.bodies) == 1


@pytest.mark.parametrize(
    ("verb", "said"), [("RCPT", "what?"), ("DATA", "250 done?"), ("MAIL", "354 go on"), ("RCPT", "25")]
)
def test_an_answer_that_is_no_reply_ends_the_connection(peer: ScriptedRelay, sender: Client, verb: str, said: str):
    peer.script[verb].append(said)
    fate = sender.send(SENDER, READER, MESSAGE)
    assert isinstance(fate, Broken)
    assert not fate.uncertain
    assert sender.send(SENDER, READER, MESSAGE) == OK
    assert peer.connections == 2


def test_a_reply_that_does_not_end_is_given_up(peer: ScriptedRelay, sender: Client):
    peer.script["RCPT"].append("\r\n".join(["250-and so on"] * 20_000))
    fate = sender.send(SENDER, READER, MESSAGE)
    assert isinstance(fate, Broken)


def test_a_relay_that_is_not_there_is_down():
    port = free_port()
    with pytest.raises(RelayDown, match=rf"127\.0\.0\.1:{port}"):
        Client(f"smtp://127.0.0.1:{port}").send(SENDER, READER, MESSAGE)


def test_a_reply_of_many_lines_is_one_line(peer: ScriptedRelay, sender: Client):
    peer.script["RCPT"].append("550-5.1.1 no\r\n550-5.1.1 such\x07\r\n550 5.1.1 user")
    assert sender.send(SENDER, READER, MESSAGE) == Reply(Stage.RCPT, 550, "5.1.1 no 5.1.1 such 5.1.1 user")


def test_an_international_address_is_sent_where_the_relay_announces_it(peer: ScriptedRelay, sender: Client):
    assert sender.send(SENDER, "josé@example.org", MESSAGE) == OK
    assert f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)} SMTPUTF8 BODY=8BITMIME" in peer.lines
    assert "RCPT TO:<josé@example.org>" in peer.lines
    sender.send(SENDER, READER, MESSAGE)
    assert peer.lines[-3] == f"MAIL FROM:<{SENDER}> SIZE={len(MESSAGE)}"


def test_an_international_address_is_refused_where_the_relay_does_not(peer: ScriptedRelay, sender: Client):
    peer.extensions.remove("SMTPUTF8")
    reply = sender.send(SENDER, "josé@example.org", MESSAGE)
    assert isinstance(reply, Reply)
    assert (reply.stage, reply.code, reply.enhanced) == (Stage.RCPT, 553, "5.6.7")
    assert not [line for line in peer.lines if line.startswith("RCPT")]
    assert sender.send(SENDER, READER, MESSAGE) == OK


def test_a_wrong_password_is_the_relay_s_refusal(peer: ScriptedRelay):
    peer.extensions.append("AUTH PLAIN")
    peer.script["AUTH"].append("535 5.7.8 wrong")
    with pytest.raises(RelayDown, match=r"535 5\.7\.8 wrong"):
        Client(f"smtp://us%40er:pass@127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE)


def test_the_right_password_lets_mail_through(peer: ScriptedRelay, connect: Connect):
    peer.extensions.append("AUTH PLAIN")
    peer.script["AUTH"].append("235 2.7.0 welcome")
    assert connect(f"smtp://user:pa%3Ass@127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE) == OK


def test_starttls_is_not_given_up_where_the_relay_does_not_offer_it(peer: ScriptedRelay):
    with pytest.raises(RelayDown, match="STARTTLS"):
        Client(f"smtp+starttls://127.0.0.1:{peer.port}").send(SENDER, READER, MESSAGE)
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
    client = Client(f"smtp+starttls://127.0.0.1:{secured.port}")
    assert client.send(SENDER, READER, MESSAGE) == OK
    client.close()


def test_tls_from_the_first_octet_with_a_trusted_certificate_sends(
    certificate: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    server = ScriptedRelay(_server_context(certificate), tls_at_once=True)
    assert connect(f"smtps://127.0.0.1:{server.port}").send(SENDER, READER, MESSAGE) == OK
    server.stop()


def test_tls_from_the_first_octet_with_a_certificate_nobody_vouches_for_sends_nothing(certificate: Path):
    server = ScriptedRelay(_server_context(certificate), tls_at_once=True)
    with pytest.raises(RelayDown, match="certificate"):
        Client(f"smtps://127.0.0.1:{server.port}").send(SENDER, READER, MESSAGE)
    assert server.lines == []
    server.stop()


def test_starttls_with_a_certificate_nobody_vouches_for_sends_nothing(secured: ScriptedRelay):
    with pytest.raises(RelayDown, match="certificate"):
        Client(f"smtp+starttls://127.0.0.1:{secured.port}").send(SENDER, READER, MESSAGE)
    assert not [line for line in secured.lines if line.startswith("MAIL")]


def test_what_is_pipelined_is_answered_in_order(peer: ScriptedRelay, sender: Client):
    peer.script["RCPT"] += ["250 ok", "550 5.1.1 no such user", "250 ok", "450 4.2.1 later"]
    peer.script["DATA"] += ["354 go on", "354 go on all the same", "354 go on", "503 5.5.1 no recipient"]
    sent = [Message(None, SENDER, f"r{n}@example.org", b"%d\r\n" % n) for n in range(5)]
    fates = sender.send_all(sent)
    assert [str(fate) for fate in fates] == [str(OK), "550 5.1.1 no such user", str(OK), "450 4.2.1 later", str(OK)]
    # A recipient refused and a 354 behind it: a lone dot, and no content for nobody.
    assert [body for body in peer.bodies if body] == [b"0\r\n", b"2\r\n", b"4\r\n"]
    assert peer.connections == 1


def test_the_next_envelope_stands_behind_the_final_dot_and_no_second_dot_before_its_reply():
    behind: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, listener:
            peer.sendall(b"220 hi\r\n")
            peer.recv(1000)
            peer.sendall(b"250-hi\r\n250 PIPELINING\r\n")
            for number in range(3):
                if number == 0:
                    peer.recv(1000)
                peer.sendall(b"250 ok\r\n250 ok\r\n354 go on\r\n")
                time.sleep(0.1)
                behind.append(peer.recv(10_000).partition(b"\r\n.\r\n")[2])
                peer.sendall(b"250 taken\r\n")

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    client = Client(f"smtp://127.0.0.1:{listener.getsockname()[1]}")
    client.send_all([Message(None, SENDER, f"r{n}@example.org", b"x\r\n") for n in range(3)])
    client.close()
    following = b"MAIL FROM:<%b>\r\nRCPT TO:<r%d@example.org>\r\nDATA\r\n"
    assert behind == [following % (SENDER.encode(), 1), following % (SENDER.encode(), 2), b""]


@pytest.mark.skipif(not SINK.is_file(), reason="the fault-injecting relay is not beside this tree")
def test_a_durable_relay_with_faults_gives_each_its_outcome(settings: Settings, tmp_path: Path):
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, str(SINK), "--port", str(port), "--journal", str(tmp_path / "journal"), "--max-msgs", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def means(address: str) -> Meaning:
        fate = client.send(SENDER, address, MESSAGE)
        while isinstance(fate, Reply) and fate.stage is Stage.MAIL:  # 421: it takes two messages a connection
            fate = client.send(SENDER, address, MESSAGE)
        assert isinstance(fate, Reply)
        return meaning(fate)

    client = Client(f"smtp://127.0.0.1:{port}")
    try:
        _wait_for(lambda: means("a@example.org"))
        assert means("a.5xx@example.org") is Meaning.ADDRESS_DEAD
        assert means("a.4xx1@example.org") is Meaning.RETRY
        assert means("a.4xx1@example.org") is Meaning.SENT
        assert means("a.data5@example.org") is Meaning.WE_ARE_REFUSED
        fate = client.send(SENDER, "a.ackdrop1@example.org", MESSAGE)
        assert isinstance(fate, Broken)
        assert fate.uncertain
        assert [means(f"b{number}@example.org") for number in range(5)] == [Meaning.SENT] * 5
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
