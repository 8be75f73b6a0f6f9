"""Updates by command: add with its refusals and warnings, list, show, approve, withdraw."""

import json
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Commands

FULL = (
    *("--topic", "dementia", "--topic", "caregivers", "--kind", "webinar", "--url", "https://example.org/a"),
    *("--summary", "Join **us**.", "--title-es", "Un título", "--summary-es", "Para **usted**."),
    *("--starts-at", "2099-06-10T12:00", "--ends-at", "2099-06-10T13:30", "--zone", "America/Los_Angeles"),
    *("--release-at", "2099-06-01T08:00", "--expires-at", "2099-06-30T08:00+00:00"),
    *("--registration-url", "https://example.org/register", "--credit", "1.5 hours", "--urgent"),
)
REFUSED = [
    (("--title", " ", "--topic", "idd"), "Give the update a title."),
    (("--title", "x" * 201, "--topic", "idd"), "The title must be one line of at most 200 characters."),
    (("--title", "a\nb", "--topic", "idd"), "The title must be one line"),
    (("--title", "A", "--topic", "nothing"), "There is no topic “nothing”. Choose from the list."),
    (("--title", "A", "--topic", "idd", "--topic", "nothing"), "There is no topic “nothing”."),
    (("--title", "A", "--topic", "idd", "--url", "javascript:alert(1)"), "The url must be a whole http or https"),
    (("--title", "A", "--topic", "idd", "--registration-url", "//x"), "The registration-url must be"),
    (("--title", "A", "--topic", "idd", "--summary", "[x](javascript:alert(1))"), "“javascript:alert(1)”"),
    (("--title", "A", "--topic", "idd", "--summary-es", "[x](data:text/html,1)"), "“data:text/html,1”"),
    (("--title", "A", "--topic", "idd", "--summary", "x" * 20_001), "at most 20000 characters"),
    (("--title", "A", "--topic", "idd", "--summary", "a\0b"), "The summary must be text"),
    (
        ("--title", "A", "--topic", "idd", "--starts-at", "2099-06-10T12:00", "--ends-at", "2099-06-10T11:00"),
        "The event ends before it starts.",
    ),
    (("--title", "A", "--topic", "idd", "--ends-at", "2099-06-10T11:00"), "needs a start"),
    (
        ("--title", "A", "--topic", "idd", "--release-at", "2099-06-02", "--expires-at", "2099-06-01"),
        "expires before it is released",
    ),
    (("--title", "A", "--topic", "idd", "--zone", "Mars/Olympus"), "There is no time zone “Mars/Olympus”"),
    (("--title", "A", "--topic", "idd", "--zone", "../../etc/passwd"), "There is no time zone"),
    (("--title", "A", "--topic", "idd", "--follow-up-of", "999"), "There is no update “999”."),
]
NAMES = {"id", "state", "title", "kind", "urgent", "topics", "release_at", "released_at"}


def test_an_update_is_queued_with_everything_said_of_it(alerts: Commands) -> None:
    update = alerts.add("A title", *FULL)
    shown = alerts.answer("updates", "show", str(update))
    expected: dict[str, Any] = {
        "id": update,
        "state": "draft",
        "title": "A title",
        "kind": "webinar",
        "topics": ["caregivers", "dementia"],  # in catalogue order
        "url": "https://example.org/a",
        "summary": "Join **us**.",
        "title_es": "Un título",
        "summary_es": "Para **usted**.",
        "zone": "America/Los_Angeles",
        "registration_url": "https://example.org/register",
        "credit": "1.5 hours",
        "urgent": True,
    }
    assert {name: shown[name] for name in expected} == expected
    assert "Un título" in alerts.said("updates", "show", str(update))


def test_moments_without_an_offset_are_local_to_the_service_and_those_of_the_event_to_its_zone(
    alerts: Commands,
) -> None:
    moments = {
        "release_at": "2099-06-01T12:00:00+00:00",  # 08:00 in New York
        "expires_at": "2099-06-30T08:00:00+00:00",  # given with its offset
        "starts_at": "2099-06-10T19:00:00+00:00",  # 12:00 in Los Angeles
        "ends_at": "2099-06-10T20:30:00+00:00",
    }
    shown = alerts.answer("updates", "show", str(alerts.add("A title", *FULL)))
    assert {name: shown[name] for name in moments} == moments
    event = ("--topic", "idd", "--starts-at", "2099-06-10T12:00", "--release-at", "2099-06-01T08:00")
    tokyo = alerts.run("updates", "add", "--title", "B", *event, ALERTS_TIMEZONE="Asia/Tokyo")
    shown = alerts.answer("updates", "show", tokyo.stdout.split()[-1])
    assert shown["starts_at"] == "2099-06-10T03:00:00+00:00"
    assert shown["release_at"] == "2099-05-31T23:00:00+00:00"


def test_approving_at_once_releases_at_now_or_waits_for_the_release_time(alerts: Commands) -> None:
    at_once = alerts.add("At once", "--topic", "idd", "--approve", "--now", "2026-11-30T07:00")
    shown = alerts.answer("updates", "show", str(at_once))
    assert shown["state"] == "released"
    assert shown["released_at"] == "2026-11-30T12:00:00+00:00", "--now is local to the service, too"
    later = alerts.add("Later", "--topic", "idd", "--approve", "--release-at", "2099-06-01T08:00")
    assert alerts.answer("updates", "show", str(later))["state"] == "approved"
    assert alerts.answer("editions", "open", "--now", "2099-06-01T07:59:59")["released"] == 0
    assert alerts.answer("editions", "open", "--now", "2099-06-01T08:00")["released"] == 1
    assert alerts.answer("updates", "show", str(later))["state"] == "released"


def test_json_answers_with_the_id_and_the_warnings(alerts: Commands) -> None:
    added = alerts.answer("updates", "add", "--title", "A", "--topic", "idd")
    assert set(added) == {"id", "warnings"}
    assert added["warnings"]


def test_warnings_go_to_stderr_and_stop_nothing(alerts: Commands) -> None:
    done = alerts.run("updates", "add", "--title", "A", "--topic", "idd", "--kind", "webinar")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["Warning"] * 3
    complete = alerts.run("updates", "add", "--title", "A", *FULL)
    assert complete.stderr == ""


def test_a_summary_may_stand_in_a_file(alerts: Commands, tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("Größer **und** besser\n", encoding="utf-8")
    update = alerts.add("A", "--topic", "idd", "--summary-file", str(file))
    assert alerts.answer("updates", "show", str(update))["summary"] == "Größer **und** besser\n"


def test_what_is_refused_is_refused_with_the_reason_and_writes_nothing(alerts: Commands) -> None:
    for words, reason in REFUSED:
        assert reason in alerts.refusal("updates", "add", *words)
        assert reason in alerts.refusal("updates", "add", *words, "--approve")
    assert alerts.answer("updates", "list") == []
    assert alerts.said("outbox", "count") == "0"


def test_every_reason_to_refuse_is_said_at_once(alerts: Commands) -> None:
    said = alerts.refusal("updates", "add", "--title", "", "--topic", "idd", "--url", "x", "--zone", "y")
    assert said.startswith("The update was refused: ")
    for reason in ("a title", "The url", "time zone “y”"):
        assert reason in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--topic", "idd"), "Missing option '--title'."),
        (("--title", "A"), "Missing option '--topic'."),
        (("--title", "A", "--topic", "idd", "--kind", "party"), "'party' is not one of 'news', 'webinar'"),
        (("--title", "A", "--topic", "idd", "--release-at", "tomorrow"), "'tomorrow' is not a moment"),
        (("--title", "A", "--topic", "idd", "--now", "2026-13-01"), "write it like 2026-12-08T09:00."),
        (("--title", "A", "--topic", "idd", "--summary-file", "/nowhere"), "does not exist"),
        (("--title", "A", "--topic", "idd", "--follow-up-of", "one"), "'one' is not a valid integer"),
    ],
)
def test_wrong_usage_is_exit_2_and_writes_nothing(anew: Commands, words: tuple[str, ...], reason: str) -> None:
    assert reason in anew.misuse("updates", "add", *words)


def test_a_summary_file_that_is_no_text_is_refused(anew: Commands, tmp_path: Path) -> None:
    anew.said("init")
    file = tmp_path / "summary.md"
    file.write_bytes("Größer".encode("latin-1"))
    said = anew.refusal("updates", "add", "--title", "A", "--topic", "idd", "--summary-file", str(file))
    assert said == f"{file} is not a text file in UTF-8."


def test_updates_are_listed_newest_first_and_by_state(alerts: Commands) -> None:
    draft = alerts.add("A draft", "--topic", "idd")
    released = alerts.add("Released", "--topic", "idd", "--approve")
    rows = alerts.answer("updates", "list")
    assert [row["id"] for row in rows] == [released, draft]
    assert all(set(row) == NAMES for row in rows)
    assert [row["id"] for row in alerts.answer("updates", "list", "--state", "draft")] == [draft]
    lines = alerts.said("updates", "list").splitlines()
    assert lines[0].split() == [str(released), "released", "Released", "[idd]"]


def test_a_draft_is_approved_once(alerts: Commands) -> None:
    update = alerts.add("A draft", "--topic", "idd")
    assert alerts.said("updates", "approve", str(update)) == f"Approved: update {update}"
    assert alerts.answer("updates", "show", str(update))["state"] == "released"
    said = alerts.refusal("updates", "approve", str(update))
    assert said == f"This cannot be done now: update {update} is released."


def test_what_was_done_is_answered_in_json_too(alerts: Commands) -> None:
    update = alerts.add("A title", "--topic", "idd", "--release-at", "2099-06-01")
    assert alerts.answer("updates", "approve", str(update)) == {"id": update, "state": "approved"}
    assert alerts.answer("updates", "withdraw", str(update), "--yes") == {"id": update, "state": "withdrawn"}
    asked = alerts.run("updates", "withdraw", str(update), "--json", stdin="y\n")
    assert json.loads(asked.stdout)["state"] == "withdrawn", "the question goes to stderr"
    address = "ann@example.org"
    assert alerts.answer("suppressions", "add", address) == {"address": address, "suppressed": True}
    assert alerts.answer("suppressions", "lift", address, "--reason", "x") == {"address": address, "suppressed": False}
    (edition, *_) = alerts.answer("editions", "open", "--now", "2099-06-02T09:00:30")["editions"]
    assert alerts.answer("editions", "pause", str(edition)) == {"id": edition, "paused": True}
    assert alerts.answer("editions", "resume", str(edition)) == {"id": edition, "paused": False}
    assert alerts.answer("init") == {"done": ["The database is at this version's schema."]}


def test_withdrawing_asks_first(alerts: Commands) -> None:
    update = str(alerts.add("A title", "--topic", "idd", "--approve"))
    for answer in ("n\n", "\n", ""):
        done = alerts.run("updates", "withdraw", update, stdin=answer)
        assert done.exit_code == 1
        assert "“A title”?" in done.stdout
        assert alerts.answer("updates", "show", update)["state"] == "released"
    assert alerts.run("updates", "withdraw", update, stdin="y\n").exit_code == 0
    assert alerts.answer("updates", "show", update)["state"] == "withdrawn"


def test_withdrawing_with_yes_does_not_ask_and_may_be_repeated(alerts: Commands) -> None:
    update = alerts.add("A title", "--topic", "idd", "--approve")
    for _ in range(2):
        said = alerts.said("updates", "withdraw", str(update), "--yes", "--reason", "wrong date")
        assert said == f"Withdrawn: update {update}"
    shown = alerts.answer("updates", "show", str(update))
    assert (shown["state"], shown["withdrawn_reason"]) == ("withdrawn", "wrong date")


def test_an_update_that_is_not_there_is_refused(alerts: Commands) -> None:
    for words in (["show"], ["approve"], ["withdraw"], ["withdraw", "--yes"], ["show", "--as", "text"]):
        assert alerts.refusal("updates", *words, "999") == "There is no update “999”."
        assert "is not a valid integer" in alerts.misuse("updates", *words, "first")


def test_an_update_is_shown_as_the_mail_it_would_make(alerts: Commands) -> None:
    update = str(alerts.add("A title", *FULL))
    text = alerts.said("updates", "show", update, "--as", "text")
    assert "A title" in text
    assert "<" not in text.replace("<https", "")
    spanish = alerts.said("updates", "show", update, "--as", "html", "--lang", "es")
    assert "Un título" in spanish
    assert 'lang="es"' in spanish
    message = message_from_string(alerts.run("updates", "show", update, "--as", "eml").stdout, policy=policy.default)
    assert "A title" in str(message["Subject"])
    assert {part.get_content_type() for part in message.walk()} >= {"text/plain", "text/html"}
    assert alerts.said("outbox", "count") == "0", "looking sends nothing"
    assert "“fr” is not one of en, es." in alerts.misuse("updates", "show", update, "--as", "text", "--lang", "fr")
