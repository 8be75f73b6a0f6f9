"""The long version of the kills, by tools that know nothing of ours: only by `make torture`.

The tools stand beside the tree; they kill what they start, then hold the journal of a durable relay against
`alerts ledger`.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import free_port
from tests.scene import Scene

DELIVERIES = int(os.environ.get("TORTURE_DELIVERIES", "50000"))
KILLS = int(os.environ.get("TORTURE_KILLS", "100"))
FAULTS = "--p-ackdrop .01 --p-rcpt4 .02 --p-421 .05 --p-421-mid .02 --p-predrop .01"
ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT.parent / "shared" / "tools"
ALERTS = f"{sys.executable} -c 'from alerts_service.cli import main; main()'"

pytestmark = [pytest.mark.torture, pytest.mark.timeout(4 * 3600)]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[int]:
    """The port of a relay that keeps each message on the disk before it answers, with faults at random."""
    if not TOOLS.is_dir():
        pytest.skip(f"the tools are not there: {TOOLS}")
    port = free_port()
    words = f"--port {port} --journal {tmp_path}/journal {FAULTS}".split()
    with subprocess.Popen([sys.executable, TOOLS / "smtp_sink.py", *words], stdout=subprocess.DEVNULL) as process:
        time.sleep(1)
        yield port
        process.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_a_hundred_times_it_loses_nothing_and_doubles_only_what_was_in_flight(
    scene: Scene, environment: dict[str, str], sink: int, tmp_path: Path, workers: int
) -> None:
    settings = {
        **environment,
        "PYTHONPATH": str(ROOT),
        "ALERTS_SMTP_URL": f"smtp://127.0.0.1:{sink}",
        "ALERTS_SMTP_CONNECTIONS": "8",
        "ALERTS_LEASE_SECONDS": "5",
        "ALERTS_RETRY_SECONDS": "1",
    }
    run(f"{ALERTS} demo-data --subscribers {DELIVERIES} --updates 10 --frequency weekly", settings)
    run(f"{ALERTS} editions open --now 2099-06-02T09:00:30", settings)
    loop = [sys.executable, str(TOOLS / "kill_loop.py"), "--start", f"{ALERTS} scheduler --workers {workers}"]
    loop += ["--pending", f"{ALERTS} outbox count", "--ledger", f"{ALERTS} ledger", "--match", "msgid"]
    loop += ["--journal", f"{tmp_path}/journal", "--kills", str(KILLS), "--inflight", "8", "--drain", "1800"]
    done = subprocess.run(loop, env=settings, capture_output=True, text=True, check=False, cwd=tmp_path)
    sys.stdout.write(f"\n{workers} workers on {scene.settings.database_url.partition(':')[0]}: {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr


def run(command: str, settings: dict[str, str]) -> None:
    """Run a command to its end."""
    subprocess.run(command, shell=True, env=settings, check=True, stdout=subprocess.DEVNULL)
