"""The demo: a newcomer sees a digest within a minute, and nothing is left behind."""

import os
import re
import signal
import socket
import subprocess
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from alerts_service.config import Settings
from alerts_service.demo.inbox import create_inbox
from tests.demo.conftest import ALERTS, Demo, http, until

pytestmark = pytest.mark.slow

ANN = "ann@example.org"


def text_of(message: EmailMessage) -> str:
    """The plain part of a message."""
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def test_a_newcomer_signs_up_confirms_presses_the_button_and_sees_the_digest(demo: Demo) -> None:
    assert f"Site    {demo.site}/" in demo.printed
    assert f"Inbox   {demo.inbox}/" in demo.printed
    assert "0 messages" in http(demo.inbox).text

    form = {"email": ANN, "topics": ["dementia", "telehealth"], "frequency": "weekly"}
    assert http(f"{demo.site}/subscribe", form).status == 303
    confirmation = until(lambda: demo.messages(ANN))[0]
    link = re.search(rf"{demo.site}/confirm/\S+", text_of(confirmation))
    assert link
    assert http(link[0]).status == 200
    assert http(link[0], {}).status == 200
    until(lambda: len(demo.messages(ANN)) == 2)

    pressed = http(f"{demo.inbox}/release", {})
    assert pressed.status == 303
    said = http(demo.inbox + pressed.headers["Location"]).text
    assert "1 message is on its way" in said
    first = until(lambda: demo.messages(ANN)[:-2])[0]
    title = str(first["Subject"])
    assert title in said.replace("&#39;", "'")
    assert f"{demo.site}/unsubscribe/" in text_of(first)

    again = http(f"{demo.inbox}/release", {})
    assert again.status == 303
    second = until(lambda: demo.messages(ANN)[:-3])[0]
    assert str(second["Subject"]) != title
    assert title not in text_of(second), "every press sends what is new, once"

    printed = demo.run("demo-digest")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("Released “")

    page = re.search(r'href="(/messages/[^"]+)"', http(demo.inbox).text)
    assert page
    shown = http(demo.inbox + page[1])
    for part in ("<iframe", "sandbox=", "<pre", "Message-ID", "List-Unsubscribe"):
        assert part in shown.text
    html = http(f"{demo.inbox}{page[1]}/html")
    assert "sandbox" in html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    assert http(f"{demo.inbox}/messages/nothing").status == 404
    assert demo.end(signal.SIGTERM) == 0


def test_other_sites_cannot_press_the_button(demo: Demo) -> None:
    def released() -> str:
        return demo.run("updates", "list", "--state", "released", "--json", ALERTS_MODE="demo").stdout

    before = released()
    assert before.startswith("[{")
    for site in ("cross-site", "same-site"):
        assert http(f"{demo.inbox}/release", {}, Sec_Fetch_Site=site).status == 403
    assert http(f"{demo.inbox}/release").status == 405, "a GET presses nothing"
    assert released() == before
    assert http(f"{demo.inbox}/release", {}, Sec_Fetch_Site="same-origin").status == 303
    assert released() != before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_everything_cleanly_and_it_can_be_started_again(demo: Demo, number: signal.Signals) -> None:
    assert len(demo.processes()) >= 4
    assert demo.end(number) == 0
    assert demo.processes() == []
    assert "Traceback" not in demo.printed
    for port in range(demo.port, demo.port + 3):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    if number is signal.SIGINT:
        demo.start()
        assert http(f"{demo.site}/healthz").status == 200


def test_when_the_first_process_is_killed_the_others_end(demo: Demo) -> None:
    demo.end(signal.SIGKILL)
    until(lambda: demo.processes() == [], seconds=20)


@pytest.mark.parametrize("command", ["gunicorn", "scheduler", "alerts_service.demo.inbox"])
def test_when_one_process_dies_the_others_end_with_it(demo: Demo, command: str) -> None:
    assert demo.process is not None
    victim = next(pid for pid in sorted(demo.processes()) if pid != demo.process.pid and command in command_line(pid))
    os.kill(victim, signal.SIGKILL)
    assert demo.process.wait(30) == 1
    until(lambda: demo.processes() == [], seconds=20)


def command_line(pid: int) -> str:
    """The words a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_busy_port_is_said_in_one_line_and_nothing_is_started(stopped: Demo, offset: int) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", stopped.port + offset))
        busy.listen()
        done = stopped.run("demo")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"Port {stopped.port + offset} is in use. Choose another: PORT=9000 alerts demo\n"
    assert stopped.processes() == []


@pytest.mark.parametrize("port", ["eighty", "0", "65535", "-1"])
def test_a_port_that_is_none_is_said_in_one_line(stopped: Demo, port: str) -> None:
    done = stopped.run("demo", PORT=port)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) <= 2
    assert port in done.stderr


def test_the_signal_that_comes_during_the_start_ends_it_too(stopped: Demo) -> None:
    process = subprocess.Popen(
        [ALERTS, "demo"],
        cwd=stopped.folder,
        env=stopped.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: len(stopped.processes()) > 1)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    process.wait(30)
    until(lambda: stopped.processes() == [], seconds=20)


@pytest.mark.parametrize("words", ["demo", "demo-digest"])
def test_the_demo_is_refused_in_every_other_mode(stopped: Demo, words: str) -> None:
    for mode in ("production", "staging"):
        done = stopped.run(words, ALERTS_MODE=mode)
        assert done.returncode == 1
        assert done.stderr == "This is for demo mode only: unset ALERTS_MODE, or set it to demo.\n"
        assert done.stdout == ""


def test_the_inbox_cannot_be_made_in_another_mode(settings: Settings) -> None:
    with pytest.raises(SystemExit, match="demo mode only"):
        create_inbox(settings)
