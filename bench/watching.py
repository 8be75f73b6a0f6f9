"""Commands that are watched while they run: seconds, processor seconds, and the memory of the largest process."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.installations import ROOT, CommandFailedError
from bench.measuring import peak_memory


@dataclass(frozen=True)
class Watched:
    """What commands that ran side by side took together. `peak` is in bytes."""

    seconds: float
    processor: float
    peak: int


def watched(commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]], folder: Path) -> Watched:
    """Run `alerts` commands side by side to their end. Raises CommandFailedError with what they said."""
    alerts, log = str(Path(sys.executable).with_name("alerts")), folder / "commands.log"
    started, processor, peaks, running = time.perf_counter(), 0.0, [0], []
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        for command, environment in zip(commands, environments, strict=True):
            process = subprocess.Popen([alerts, *command], cwd=ROOT, env=environment, stdout=output, stderr=output)
            running.append(process)
            stack.enter_context(_noting(process.pid, peaks))
        for process in running:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            processor += usage.ru_utime + usage.ru_stime
    if any(process.returncode for process in running):
        raise CommandFailedError(log.read_text(encoding="utf-8"))
    return Watched(time.perf_counter() - started, processor, max(peaks))


@contextlib.contextmanager
def _noting(process: int, peaks: list[int]) -> Iterator[None]:
    """Note the peak memory of a process and of those it starts, until the end of the block."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
                peaks.extend(peak_memory(int(child)) for child in [str(process), *children])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
