"""Several schedulers that start at the same moment on one installation."""

import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from alerts_service.models import MailKind
from alerts_service.services import demo_data, editions, ledger
from tests.faults.audit import audit
from tests.faults.conftest import Start, drained, wait_until
from tests.faults.sink import Sink
from tests.scene import Scene

pytestmark = pytest.mark.slow


def test_schedulers_that_start_together_open_each_slot_once_and_give_each_update_once(
    scene: Scene, relay: Sink, start: Start, environment: dict[str, str]
) -> None:
    demo_data.fill(300, 3, frequency="daily", seed=1, **scene.at)
    alarm = scene.release("Alarm", "idd", "policy", urgent=True)
    command = [sys.executable, "-c", "from alerts_service.cli import main; main()", "editions", "open"]
    slot = (scene.now + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%S")
    schedulers = [start(2) for _ in range(2)]
    openers = [
        subprocess.Popen([*command, "--now", slot], env=environment, cwd=Path(__file__).parents[2]) for _ in range(2)
    ]
    assert [opener.wait(60) for opener in openers] == [0, 0]
    time.sleep(3)
    wait_until(drained)
    for each in schedulers:
        each.end()
    slots = [(row["frequency"], row["slot_at"]) for row in editions.listing()]
    assert len(slots) == len(set(slots))
    lines = [line for line in ledger.lines(settings=scene.settings) if line["kind"] == MailKind.DIGEST]
    times = Counter((line["address"], update) for line in lines for update in line["updates"])
    assert {update for _, update in times} >= {alarm}
    assert set(times.values()) == {1}
    audit(scene, relay)
