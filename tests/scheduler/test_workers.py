"""The supervisor: processes started together, started again, ended together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

# Two tasks that write their process ids into files and wait; “short” ends at once, the first time.
PROGRAM = """
import os, sys, time
from pathlib import Path
from scheduler import workers

folder = Path(sys.argv[1])

def task(name):
    def work(stop):
        with (folder / name).open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if name == "stubborn":
            time.sleep(60)
        while not stop():
            time.sleep(0.01)
        (folder / f"{name}.ended").touch()
    return work

workers.supervise([(name, task(name)) for name in sys.argv[2:]])
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a supervisor of the tasks named."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*names: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path), *names]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        for name in names:
            wait_for(partial(pids, tmp_path, name))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def pids(folder: Path, name: str) -> list[int]:
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie waits for its parent only.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_every_process_finish(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path, number: int
) -> None:
    supervisor = start("one", "two")
    supervisor.send_signal(number)
    assert supervisor.wait(10) == 0
    assert {path.name for path in tmp_path.glob("*.ended")} == {"one.ended", "two.ended"}


def test_a_process_that_ends_before_its_time_is_started_again(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    supervisor = start("one", "two")
    os.kill(pids(tmp_path, "one")[0], signal.SIGKILL)
    wait_for(lambda: len(pids(tmp_path, "one")) == 2)
    assert len(pids(tmp_path, "two")) == 1
    supervisor.terminate()
    assert supervisor.wait(10) == 0


def test_processes_end_with_a_supervisor_that_is_killed(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    supervisor = start("one", "two")
    children = pids(tmp_path, "one") + pids(tmp_path, "two")
    supervisor.kill()
    supervisor.wait()
    wait_for(lambda: not any(lives(pid) for pid in children))


@pytest.mark.slow
def test_a_process_that_does_not_end_is_killed_within_ten_seconds(
    start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    supervisor = start("one", "stubborn")
    begun = time.monotonic()
    supervisor.terminate()
    assert supervisor.wait(15) == 0
    assert time.monotonic() - begun < 10.5
    assert not lives(pids(tmp_path, "stubborn")[0])
