"""A demo as a newcomer starts it: a process of its own, in a folder of its own, on free ports."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import pytest

ALERTS = str(Path(sys.executable).with_name("alerts"))
T = TypeVar("T")


def free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""
    for port in range(20_000 + os.getpid() % 20_000, 60_000, 3):
        try:
            for number in range(port, port + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise AssertionError("no ports")


def until(find: Callable[[], T | None], seconds: float = 60) -> T:
    """What is looked for, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = find()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} seconds: {find}")


@dataclass
class Answer:
    """What a server said."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass
class Demo:
    """A demo's folder and its first port."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def environment(self) -> dict[str, str]:
        """As on a fresh machine: no settings but the port."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PORT": str(self.port)}

    @property
    def site(self) -> str:
        """The site's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def inbox(self) -> str:
        """The inbox's address."""
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def printed(self) -> str:
        """Everything the demo has printed."""
        return (self.folder / "printed").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait for its addresses."""
        with (self.folder / "printed").open("wb") as printed:
            self.process = subprocess.Popen(
                [ALERTS, "demo"], cwd=self.folder, env=self.environment, stdout=printed, stderr=printed
            )
        until(lambda: "Ctrl-C" in self.printed or self.ended())
        assert not self.ended(), self.printed

    def ended(self) -> bool:
        """Say whether the first process is no more."""
        assert self.process is not None
        return self.process.poll() is not None

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the first process; return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    def processes(self) -> list[int]:
        """Every process that works in the demo's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cwd").resolve() == self.folder.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
        return [pid for pid in found if not _is_zombie(pid)]

    def run(self, *words: str, **changes: str) -> "subprocess.CompletedProcess[str]":
        """Run another command in the demo's folder."""
        return subprocess.run(
            [ALERTS, *words],
            cwd=self.folder,
            env=self.environment | changes,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def messages(self, address: str) -> list[EmailMessage]:
        """The inbox's mail to an address, newest first, read over HTTP."""
        listed = http(f"{self.inbox}/").text
        ids = [part.split('"')[0] for part in listed.split('href="/messages/')[1:]]
        found = []
        for message_id in ids:
            raw = http(f"{self.inbox}/messages/{message_id}/raw").text.encode()
            message = message_from_bytes(raw, policy=policy.default)
            assert isinstance(message, EmailMessage)
            if message["To"] == address:
                found.append(message)
        return found


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_options: object) -> None:
        return None


def http(url: str, form: Mapping[str, object] | None = None, **headers: str) -> Answer:
    """Ask a server as a program without cookies does; redirects are answers, too."""
    data = None if form is None else urllib.parse.urlencode(form, doseq=True).encode()
    request = urllib.request.Request(url, data, {name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=10) as response:
            return Answer(response.status, response.read().decode(), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode(), dict(error.headers))


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Demo]:
    """A demo that has not been started; whatever the test leaves of it is ended."""
    demo = Demo(tmp_path, free_ports())
    yield demo
    for pid in demo.processes():
        os.kill(pid, signal.SIGKILL)
    if demo.process is not None:
        demo.process.wait()


@pytest.fixture
def demo(stopped: Demo) -> Demo:
    """A running demo."""
    stopped.start()
    return stopped
