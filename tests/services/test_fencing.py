"""The restore fence: which databases a host may send from, and which not."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from alerts_service.config import Settings
from alerts_service.db import db, transaction
from alerts_service.errors import BaseUrlChanged, HostsAwaited, HostUnknown, JournalAhead, JournalMissing
from alerts_service.journal import Journal
from alerts_service.models import Host
from alerts_service.services import fencing
from tests.fenced import Sender, copy_of
from tests.scene import Scene, at_once, rows

ANN = "ann@example.org"
BOB = "bob@example.org"
CLOCK = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def sender(scene: Scene) -> Sender:
    return Sender(scene.settings, CLOCK)


def letters(scene: Scene, *addresses: str) -> None:
    """Queue a letter for each."""
    for address in addresses:
        scene.ask(address)


def nonces() -> dict[str, tuple[str, str | None]]:
    db.session.rollback()
    return {row.id: (row.nonce, row.previous) for row in db.session.scalars(select(Host))}


def journal_of(settings: Settings) -> Path:
    return next(settings.state_dir.glob("journal/*.log"))


def break_off(sender: Sender) -> None:
    """Begin a turn whose transaction fails after the renewal."""
    with fencing.turn(sender.settings) as fence, transaction() as session:
        fence.renew(session, (), clock=sender.clock)
        session.execute(text("no SQL"))


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """The settings of another host of the same installation."""
    return dataclasses.replace(settings, state_dir=folder / "elsewhere")


def test_the_first_claim_starts_the_journal_whatever_is_waiting(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN, BOB)
    assert sender.held() is None
    sender.drain()
    assert len(sender.sent) == 2
    assert list(nonces()) == [Journal(scene.settings.state_dir).host()]
    entries = list(Journal(scene.settings.state_dir).entries())
    assert [entry.kind for entry in entries] == ["turn"]
    assert [short for _, short in entries[0].facts["letters"]] == [each.split("@")[0] for each in sender.message_ids]


def test_each_turn_commits_a_fresh_nonce_and_remembers_the_one_before(scene: Scene, sender: Sender) -> None:
    seen: list[tuple[str, str | None]] = []
    for number in range(3):
        letters(scene, f"{number}@example.org")
        sender.round()
        seen += nonces().values()
    assert len({nonce for nonce, _ in seen}) == 3
    assert [previous for _, previous in seen[1:]] == [nonce for nonce, _ in seen[:-1]]


def test_a_restored_database_sends_nothing(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    sender.drain()
    restore = copy_of(scene.settings, tmp_path)
    letters(scene, BOB)
    sender.drain()
    restore()
    letters(scene, "cid@example.org")
    assert str(sender.held()) == str(JournalAhead())
    before = rows()
    with pytest.raises(JournalAhead):
        sender.drain()
    assert rows() == before
    assert [address for address, _ in sender.sent] == [ANN, BOB]


def test_an_idle_host_renews_so_that_a_copy_is_old_within_seconds(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    sender.drain()
    restore = copy_of(scene.settings, tmp_path)
    assert sender.held() is None
    sender.idle()
    assert sender.held() is None
    restore()
    assert str(sender.held()) == str(JournalAhead())


def test_a_database_from_before_the_first_claim_is_known_as_old(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    restore = copy_of(scene.settings, tmp_path)
    sender.drain()
    restore()
    with pytest.raises(JournalAhead):
        sender.round()


def test_a_crash_between_the_commit_and_the_line_holds_nothing_however_often(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    sender.drain()
    for number in range(3):
        letters(scene, f"{number}@example.org")
        with fencing.turn(scene.settings) as fence, transaction() as session:
            fence.renew(session, (), clock=sender.clock)
    assert sender.held() is None
    sender.drain()
    assert len(sender.sent) == 4


def test_a_crash_in_the_very_first_turn_holds_nothing(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    with fencing.turn(scene.settings) as fence, transaction() as session:
        fence.renew(session, (), clock=sender.clock)
    assert sender.held() is None
    sender.drain()
    assert [address for address, _ in sender.sent] == [ANN]


def test_a_first_turn_that_is_rolled_back_holds_nothing(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    with pytest.raises(DBAPIError):
        break_off(sender)
    assert nonces() == {}
    assert sender.held() is None
    sender.drain()
    assert [address for address, _ in sender.sent] == [ANN]


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_is_passed_over(scene: Scene, sender: Sender, cut: int) -> None:
    for address in (ANN, BOB):
        letters(scene, address)
        sender.round()
    path = journal_of(scene.settings)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    # The nonce before the torn one is the database's previous one; without its end a line may be whole, too.
    assert sender.held() is None
    letters(scene, "cid@example.org")
    sender.round()
    assert sender.held() is None
    kinds = [entry.kind for entry in Journal(scene.settings.state_dir).entries()]
    assert kinds == (["turn"] * 3 if cut == 1 else ["turn"] * 2)


def test_zeros_that_a_power_failure_left_are_passed_over(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    sender.round()
    with journal_of(scene.settings).open("ab") as file:
        file.write(b"\0" * 4096)
    letters(scene, BOB)
    sender.round()
    assert sender.held() is None
    assert len(list(Journal(scene.settings.state_dir).entries())) == 2


def test_a_missing_journal_holds_once_a_nonce_was_committed(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN, BOB)
    sender.round(1)
    journal_of(scene.settings).unlink()
    (scene.settings.state_dir / "journal/idle").unlink()
    assert str(sender.held()) == str(JournalMissing())
    with pytest.raises(JournalMissing):
        sender.round()


def test_a_new_state_dir_is_a_new_host_and_waits(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN, BOB)
    sender.round(1)
    other = Sender(elsewhere(scene.settings, tmp_path), sender.clock)
    with pytest.raises(HostUnknown):
        other.round()
    other.idle(6)
    assert str(other.held()) == str(HostUnknown())
    assert other.sent == []


def test_a_new_host_joins_while_another_is_seen_renewing(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN, BOB)
    sender.round(1)
    other = Sender(elsewhere(scene.settings, tmp_path), sender.clock)
    other.idle()
    sender.idle()
    other.clock = sender.clock
    assert str(other.held()) == str(HostUnknown())
    other.idle()
    assert other.held() is None
    assert sender.held() is None
    other.drain()
    assert [address for address, _ in other.sent] == [BOB]
    assert len(nonces()) == 2


def test_a_new_host_is_not_misled_by_a_restore_between_its_looks(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    sender.round()
    restore = copy_of(scene.settings, tmp_path)
    sender.idle()
    other = Sender(elsewhere(scene.settings, tmp_path), sender.clock)
    other.idle()
    restore()
    other.idle()
    assert str(other.held()) == str(HostUnknown())


def test_a_look_of_long_ago_shows_nothing(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    sender.round()
    other = Sender(elsewhere(scene.settings, tmp_path), sender.clock)
    other.idle()
    sender.idle()
    other.clock += timedelta(hours=1)
    other.idle()
    assert str(other.held()) == str(HostUnknown())


def test_a_host_whose_journal_is_ahead_stops_the_others(scene: Scene, sender: Sender, tmp_path: Path) -> None:
    letters(scene, ANN)
    sender.round()
    other = Sender(elsewhere(scene.settings, tmp_path), sender.clock)
    other.idle()
    sender.idle()
    other.idle()
    restore = copy_of(scene.settings, tmp_path)
    other.idle()
    restore()
    assert sender.held() is None, "it did nothing since"
    other.idle()
    name = Journal(other.settings.state_dir).host()
    assert str(sender.held()) == str(HostsAwaited(hosts=name))
    letters(scene, BOB)
    with pytest.raises(HostsAwaited):
        sender.round()


def test_another_base_url_than_the_database_remembers_holds(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    sender.round()
    moved = dataclasses.replace(scene.settings, base_url="https://staging.example.org")
    expected = BaseUrlChanged(remembered=scene.settings.base_url, present="https://staging.example.org")
    assert str(sender.held(moved)) == str(expected)
    letters(scene, BOB)
    with pytest.raises(BaseUrlChanged):
        Sender(moved, sender.clock).round()
    sender.round()
    assert len(sender.sent) == 2


def test_in_demo_mode_there_is_no_fence(scene: Scene, sender: Sender) -> None:
    letters(scene, ANN)
    demo = dataclasses.replace(scene.settings, mode="demo", base_url="http://127.0.0.1:8300")
    assert sender.held(demo) is None
    Sender(demo, sender.clock).drain()
    fencing.enter(demo, clock=sender.clock)
    assert nonces() == {}
    assert not (scene.settings.state_dir / "journal").exists()


def test_several_processes_of_a_host_take_turns(scene: Scene, sender: Sender) -> None:
    letters(scene, *(f"{number}@example.org" for number in range(60)))

    def work() -> Callable[[], None]:
        def run() -> None:
            for _ in range(10):
                with fencing.turn(scene.settings) as fence:
                    with transaction() as session:
                        fence.renew(session, (), clock=sender.clock)
                    fence.note([])

        return run

    assert at_once(work(), work(), work()) == [None] * 3
    assert sender.held() is None
    assert len(list(Journal(scene.settings.state_dir).entries())) == 30


def test_entering_names_the_host_and_renews(scene: Scene, sender: Sender) -> None:
    name = fencing.enter(scene.settings, clock=sender.clock)
    first = nonces()
    assert list(first) == [name]
    assert fencing.enter(scene.settings, clock=sender.clock) == name
    assert nonces() != first


def test_the_journal_begins_a_file_a_month_and_forgets_what_is_older_than_any_backup(
    scene: Scene, sender: Sender
) -> None:
    for _ in range(16):
        letters(scene, f"{sender.clock:%y%m}@example.org")
        sender.round()
        sender.clock = (sender.clock.replace(day=1) + timedelta(days=32)).replace(day=1)
    files = sorted(path.name for path in (scene.settings.state_dir / "journal").glob("*.log"))
    assert [files[0], files[-1], len(files)] == ["000001-2026-12.log", "000016-2028-03.log", 16]
    fencing.idle(scene.settings, clock=datetime(2028, 3, 2, tzinfo=UTC))
    files = sorted(path.name for path in (scene.settings.state_dir / "journal").glob("*.log"))
    assert files[0] == "000002-2027-01.log"
    assert sender.held() is None


def test_leaving_and_suppressions_are_in_the_journal_before_they_answer(scene: Scene, sender: Sender) -> None:
    scene.follow(ANN, "idd", "policy")
    scene.follow(BOB)
    scene.leave(ANN)
    scene.leave(ANN)
    scene.suppress(BOB)
    scene.suppress(BOB)
    found = [(entry.kind, entry.facts) for entry in Journal(scene.settings.state_dir).entries()]
    at = scene.now.isoformat()
    assert found == [
        ("left", {"hash": scene.address_hash(ANN), "topics": found[0][1]["topics"], "at": at}),
        ("suppressed", {"hash": scene.address_hash(BOB), "reason": "operator", "at": at}),
    ]
    assert sorted(found[0][1]["topics"]) == ["idd", "policy"]
    assert ANN not in journal_of(scene.settings).read_text(encoding="utf-8")


def test_somebody_can_leave_where_the_journal_cannot_be_written(scene: Scene, capsys) -> None:
    scene.follow(ANN)
    scene.settings.state_dir.mkdir(exist_ok=True)
    (scene.settings.state_dir / "journal").write_text("in the way", encoding="utf-8")
    scene.leave(ANN)
    assert scene.subscriber(ANN).ended_at is not None
    assert "the journal cannot be written" in "".join(capsys.readouterr())
