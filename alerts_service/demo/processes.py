"""Running several processes as one: started together, ended together, none left behind.

Signals are blocked and waited for. When one arrives, or a child ends, all children are asked to end, and
killed after ten seconds. A child dies with its parent (PR_SET_PDEATHSIG, Linux), however that one ends.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

_WATCHED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
_GRACE_SECONDS = 10
_START_SECONDS = 30
_PR_SET_PDEATHSIG = 1


def run_together(
    commands: Sequence[Sequence[str]], host: str, ports: Sequence[int], *, announce: Callable[[], None]
) -> int:
    """Run commands until a signal comes or one of them ends; return the exit code.

    `announce` is called once all `ports` of `host` answer.
    """
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    children = [
        subprocess.Popen(command, start_new_session=True, preexec_fn=lambda: _prepare(parent))  # noqa: S603, PLW1509
        for command in commands
    ]
    try:
        if not _all_answer(children, host, ports):
            return 1
        announce()
        while all(child.poll() is None for child in children):
            if signal.sigwait(_WATCHED) != signal.SIGCHLD:
                return 0
        return 1
    finally:
        _end(children)


def is_free(host: str, port: int) -> bool:
    """Say whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _prepare(parent: int) -> None:
    """In the child: take signals again, and die with the parent."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def _all_answer(children: Sequence["subprocess.Popen[bytes]"], host: str, ports: Sequence[int]) -> bool:
    """Wait until every port answers; False if a child ends first, or a signal comes."""
    waiting = list(ports)
    deadline = time.monotonic() + _START_SECONDS
    while waiting and time.monotonic() < deadline:
        if any(child.poll() is not None for child in children) or signal.sigpending() & (_WATCHED - {signal.SIGCHLD}):
            return False
        waiting = [port for port in waiting if not _answers(host, port)]
        time.sleep(0.1)
    return not waiting


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _end(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for child in children:
        try:
            child.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
