"""Processes: a supervisor with no thread of its own forks the timer and the workers, and ends them cleanly.

It forks anew whichever ends before its time. A child dies with its parent, however that one ends
(PR_SET_PDEATHSIG, Linux); SIGTERM lets it finish what it has in hand.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Collection, Sequence

import structlog

_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_WATCHED = _ENDING | {signal.SIGCHLD}
_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 9.5
# A child that cannot start is not tried in a tight loop.
_LEAST_LIFE_SECONDS = 1.0

log = structlog.get_logger()

Task = Callable[[Callable[[], bool]], None]


def supervise(tasks: Sequence[tuple[str, Task]]) -> None:
    """Run each task in a process of its own until SIGTERM, SIGINT or SIGHUP; one that ends is started again.

    A task is called with a function that says whether to stop.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    parent = os.getpid()
    running = {fork(task, parent): (name, task, time.monotonic()) for name, task in tasks}
    log.info("scheduler started", processes=[name for name, _ in tasks])
    while (number := signal.sigwait(_WATCHED)) == signal.SIGCHLD:
        for child in _ended():
            name, task, started = running.pop(child)
            log.error("a process ended before its time; it is started again", process=name)
            if time.monotonic() - started < _LEAST_LIFE_SECONDS:
                time.sleep(_LEAST_LIFE_SECONDS)
            running[fork(task, parent)] = (name, task, time.monotonic())
    log.info("scheduler ending", signal=signal.Signals(number).name)
    end(running)


def fork(task: Task, parent: int) -> int:
    """Start a task in a child and return its id. The caller has no other thread."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _be_a_child(parent)
        task(_stop_flag())
        status = 0
    except BaseException:
        log.exception("a process failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def end(children: Collection[int]) -> None:
    """Ask children to end; kill those that do not within the time of grace."""
    for child in children:
        os.kill(child, signal.SIGTERM)
    until = time.monotonic() + _GRACE_SECONDS
    waiting = set(children)
    while waiting and time.monotonic() < until:
        waiting -= set(_ended())
        time.sleep(0.02)
    for child in waiting:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _ended() -> list[int]:
    found: list[int] = []
    while True:
        try:
            child, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if child == 0:
            return found
        found.append(child)


def _be_a_child(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)


def _stop_flag() -> Callable[[], bool]:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for number in _ENDING:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
    return lambda: stopped
