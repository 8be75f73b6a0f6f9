"""Limits by command."""

import pytest

from tests.cli.conftest import Commands

NOTHING = {"per_second": None, "per_day": None, "ramp": None, "today": None, "sent_today": None}


def test_limits_are_set_one_by_one_listed_and_cleared(alerts: Commands) -> None:
    assert alerts.answer("rates", "list") == []
    found = alerts.answer("rates", "set", "Gmail.com", "--per-second", "2.5")
    assert found == {"name": "gmail.com", **NOTHING, "per_second": 2.5, "slowed_per_second": None}
    found = alerts.answer("rates", "set", "gmail.com", "--per-day", "500", "--ramp", "1.5")
    assert (found["per_second"], found["per_day"], found["ramp"], found["today"]) == (2.5, 500, 1.5, 500)
    alerts.said("rates", "set", "relay", "--per-second", "14")
    assert alerts.said("rates", "list").splitlines() == [
        "gmail.com  2.5 a second, 500 today (times 1.5 each day), 0 of them sent",
        "relay  14 a second",
    ]
    assert (
        alerts.said("rates", "set", "gmail.com", "--ramp", "none")
        == "gmail.com  2.5 a second, 500 today, 0 of them sent"
    )
    assert alerts.said("rates", "set", "gmail.com", "--per-day", "0") == "gmail.com  2.5 a second"
    assert alerts.said("rates", "set", "gmail.com", "--per-second", "None") == "gmail.com  no limit"
    assert alerts.answer("rates", "set", "relay", "--per-second", "0") == {"name": "relay"}
    assert alerts.answer("rates", "list") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("example", "--per-second", "1"), "“example” is not a domain like example.org, nor “relay”."),
        (("ann@example.org", "--per-second", "1"), "“ann@example.org” is not a domain"),
        (("example.org", "--ramp", "1.5"), "only a limit per day can grow; give that, too."),
        (("example.org", "--per-day", "5", "--ramp", "0.5"), "the factor of daily growth is from 1 to 10."),
        (("example.org", "--per-second", "-1"), "per second, from one a day (0.00002) to 100,000"),
        (("example.org", "--per-second", "nan"), "per second, from one a day"),
        (("example.org", "--per-day", "9999999999999"), "per day, from 1 to 1,000,000,000"),
    ],
)
def test_what_cannot_be_used_is_refused_on_one_line(alerts: Commands, words: tuple[str, ...], said: str) -> None:
    refused = alerts.refusal("rates", "set", *words)
    assert refused.startswith("The limit was refused: ")
    assert said in refused
    assert alerts.answer("rates", "list") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("example.org",), "Give at least one of --per-second, --per-day and --ramp."),
        ((), "Missing argument"),
        (("example.org", "--per-day", "1.5"), "'1.5' is not a whole number, nor none."),
        (("example.org", "--per-second", "fast"), "'fast' is not a number, nor none."),
    ],
)
def test_words_that_make_no_sense_are_wrong_usage(alerts: Commands, words: tuple[str, ...], said: str) -> None:
    assert said in alerts.misuse("rates", "set", *words)
