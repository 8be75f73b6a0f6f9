"""Commands that steer editions, count anew, and lift what stopped a whole domain."""

import pytest

from tests.cli.conftest import ANN, TUESDAY, Commands, Installation, follow


@pytest.fixture
def edition(alerts: Commands, installation: Installation) -> str:
    """An edition with one delivery, compiled."""
    follow(installation, ANN, "idd")
    alerts.add("A title", "--topic", "idd", "--approve")
    alerts.said("editions", "open", "--now", TUESDAY)
    return next(str(row["id"]) for row in alerts.answer("editions", "list") if row["deliveries"])


def test_a_cancelled_edition_is_not_sent_and_owed_again(alerts: Commands, edition: str) -> None:
    assert alerts.run("editions", "cancel", edition, stdin="n\n").exit_code == 1
    assert alerts.answer("editions", "show", edition)["cancelled_at"] is None
    said = alerts.said("editions", "cancel", edition, "--reason", "a wrong date", stdin="y\n")
    assert said.endswith(f"Cancelled: edition {edition}, 1 deliveries")
    assert alerts.answer("editions", "show", edition)["cancelled_reason"] == "a wrong date"
    assert "CANCELLED" in alerts.said("editions", "list")
    assert alerts.answer("deliver", "--drain")["sent"] == 0
    assert alerts.answer("editions", "cancel", edition, "--yes") == {
        "id": int(edition),
        "cancelled": True,
        "deliveries": 0,
    }
    assert alerts.refusal("editions", "resume", edition).endswith(f"edition {edition} was cancelled.")
    assert alerts.answer("editions", "open", "--now", "2099-06-09T09:00:30")["deliveries"] == 1


def test_failed_deliveries_go_back_into_the_queue(alerts: Commands, edition: str) -> None:
    assert alerts.answer("editions", "retry-failed", edition) == {"id": int(edition), "deliveries": 0}
    assert alerts.said("editions", "retry-failed", edition) == f"Back in the queue: 0 of edition {edition}"
    assert alerts.refusal("editions", "retry-failed", "999") == "There is no edition “999”."
    assert alerts.refusal("editions", "cancel", "999", "--yes") == "There is no edition “999”."


def test_a_recount_says_that_the_tallies_agree(alerts: Commands, edition: str) -> None:
    update = alerts.answer("updates", "list")[0]["id"]
    found = alerts.answer("proof", str(update), "--recount")
    assert (found["tallies_agree"], found["adds_up"], found["pending"]) == (True, True, 1)
    assert "tallies_agree" not in alerts.answer("proof", str(update))
    assert edition


def test_what_stopped_a_whole_domain_is_lifted_after_a_question(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd")
    alerts.said("suppressions", "add", ANN)
    words = ("suppressions", "lift", "--domain", "example.org", "--between", "2020-01-01", "2099-01-01")
    assert alerts.run(*words, "--reason", "an outage", stdin="n\n").exit_code == 1
    assert len(alerts.answer("suppressions", "list")) == 1
    asked = alerts.run(*words, "--reason", "an outage", stdin="y\n")
    assert "Lift 1 suppressions of example.org?" in asked.output
    assert asked.stdout.splitlines()[-1] == "Lifted: 1 of example.org"
    assert alerts.answer(*words, "--reason", "x", "--yes") == {"domain": "example.org", "lifted": 0}
    assert alerts.misuse(*words).endswith("Missing option '--reason'.")
    for wrong in (["--reason", "x"], [ANN, "--domain", "d.example", "--reason", "x"]):
        assert alerts.misuse("suppressions", "lift", *wrong).endswith("Give either ADDRESS, or --domain and --between.")
