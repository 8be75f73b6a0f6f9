"""What the record answers, and what it is about: outbox, ledger, explain, proof; editions, addresses, suppressions."""

import json
from datetime import timedelta
from typing import Any

from alerts_service.clock import utcnow
from tests.cli.conftest import ANN, TUESDAY, Commands, Installation, follow
from tests.databases import free_port

BOB = "bob@example.org"
LINE = {"key", "address", "kind", "edition", "updates", "state", "reason", "attempts", "reply", "sent_at"}


def ledger(commands: Commands, *words: str) -> list[dict[str, Any]]:
    """The lines of the ledger."""
    return [json.loads(line) for line in commands.said("ledger", *words).splitlines()]


def test_the_ledger_has_a_line_for_every_message_with_the_fields_of_the_contract(
    alerts: Commands, installation: Installation
) -> None:
    follow(installation, ANN, "idd")
    update = alerts.add("A title", "--topic", "idd", "--approve")
    assert alerts.said("editions", "open", "--now", TUESDAY).startswith("Released 0, opened ")
    assert alerts.said("outbox", "count") == "1"
    assert alerts.answer("outbox", "count") == {"count": 1}
    pending = ledger(alerts, "--update", str(update))
    assert [(line["state"], line["sent_at"], line["attempts"]) for line in pending] == [("pending", None, 0)]
    assert alerts.said("deliver", "--drain") == "1 sent, 0 retrying, 0 failed, 0 cancelled"
    assert alerts.said("outbox", "count") == "0"

    lines = ledger(alerts)
    assert all(set(line) == LINE for line in lines)
    assert [line["kind"] for line in lines] == ["confirmation", "welcome", "digest"]
    assert {line["address"] for line in lines} == {ANN}
    assert {line["state"] for line in lines} == {"sent"}
    for line in lines[:2]:
        assert (line["edition"], line["updates"]) == (None, []), "transactional mail is in it, too"
    digest = lines[2]
    assert digest["updates"] == [update]
    assert digest["reply"].startswith("250")
    assert digest["sent_at"].endswith("+00:00")
    ids = [str(received.message["Message-ID"]) for received in installation.relay.to(ANN)]
    assert [f"<{line['key']}>" for line in lines] == ids

    assert ledger(alerts, "--edition", str(digest["edition"])) == [digest]
    assert ledger(alerts, "--update", str(update)) == [digest]
    assert ledger(alerts, "--update", "999") == []
    assert ledger(alerts, "--since", "2000-01-01") == lines
    assert ledger(alerts, "--since", "2100-01-01") == []
    assert "is not a moment" in alerts.misuse("ledger", "--since", "yesterday")


def test_since_is_local_to_the_service_where_it_has_no_offset(alerts: Commands, installation: Installation) -> None:
    installation.sign_up(ANN, "idd")
    in_utc = f"{utcnow() - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    assert len(ledger(alerts, "--since", in_utc + "+00:00")) == 1
    assert ledger(alerts, "--since", in_utc) == [], "the same digits in New York are hours later"


def test_proof_adds_up_and_ends_with_1_where_the_record_was_tampered_with(
    alerts: Commands, installation: Installation
) -> None:
    for address in (ANN, BOB):
        follow(installation, address, "idd")
    update = str(alerts.add("A title", "--topic", "idd", "--approve"))
    waiting = alerts.answer("proof", update, "--now", TUESDAY)
    assert (waiting["matched"], waiting["waiting_for_their_slot"]) == (0, {"weekly": 2})
    installation.tick(TUESDAY)
    found = alerts.answer("proof", update)
    assert (found["matched"], found["sent"], found["adds_up"]) == (2, 2, True)
    assert "adds up: True" in alerts.said("proof", update)

    _tamper(installation, ANN)
    done = alerts.run("proof", update, "--recount", "--json")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert (found["adds_up"], found["tallies_agree"]) == (False, False)
    assert alerts.run("proof", update, "--recount").exit_code == 1


def _tamper(installation: Installation, address: str) -> None:
    """Take one delivery out of the record, behind the service's back."""
    from sqlalchemy import delete, select

    from alerts_service.db import db
    from alerts_service.models import Delivery, Subscriber

    with installation.site.application.app_context():
        whose = select(Subscriber.id).where(Subscriber.address == address).scalar_subquery()
        db.session.execute(delete(Delivery).where(Delivery.subscriber_id == whose, Delivery.digest_id.is_not(None)))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()


def test_explain_says_why_in_words_and_what_that_rests_on(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd")
    update = str(alerts.add("A title", "--topic", "idd", "--approve"))
    assert alerts.said("explain", ANN, update).startswith("It is owed and waits for the next slot.")
    installation.tick(TUESDAY)
    lines = alerts.said("explain", ANN, update).splitlines()
    assert lines[0] == "It was sent."
    assert lines[1].startswith("  follows idd, weekly, since ")
    assert lines[2].startswith("  edition ")
    found = alerts.answer("explain", ANN.upper(), update)
    assert found["answer"] == "sent"
    assert found["consents"]
    other = str(alerts.add("Another", "--topic", "policy", "--approve"))
    assert alerts.answer("explain", ANN, other)["answer"] == "not_followed"
    assert alerts.answer("explain", BOB, update)["answer"] == "unknown_address"


def test_an_update_that_is_not_there_has_no_record(alerts: Commands) -> None:
    for words in (["explain", ANN, "999"], ["proof", "999"]):
        assert alerts.refusal(*words) == "There is no update “999”."


def test_the_state_of_an_address_is_one_word(alerts: Commands, installation: Installation) -> None:
    def state(*words: str) -> str:
        return alerts.said("subscribers", "state", ANN, *words)

    assert state() == "none"
    installation.sign_up(ANN, "idd")
    assert state() == "pending"
    assert state("--now", "2099-01-01") == "none", "its sign-up has expired by then"
    installation.confirm(ANN)
    assert state() == "active"
    alerts.said("suppressions", "add", ANN)
    assert state() == "suppressed"
    assert alerts.answer("subscribers", "state", ANN) == {"address": ANN, "state": "suppressed"}


def test_everything_kept_about_an_address_is_shown(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd", "policy", frequency="daily")
    shown = alerts.answer("subscribers", "show", ANN)
    assert (shown["address"], shown["state"], shown["language"]) == (ANN, "active", "en")
    assert {row["topic"]: row["frequency"] for row in shown["subscriptions"]} == {"idd": "daily", "policy": "daily"}
    assert shown["consent_chain_is_whole"] is True
    assert [row["kind"] for row in shown["deliveries"]] == ["confirmation", "welcome"]
    assert f"address: {ANN}" in alerts.said("subscribers", "show", ANN)


def test_an_operator_unsubscribes_exports_and_erases(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd")
    assert alerts.said("subscribers", "unsubscribe", ANN) == f"Unsubscribed: {ANN}"
    assert alerts.said("subscribers", "state", ANN) == "unsubscribed"
    assert json.loads(alerts.said("subscribers", "export", ANN)) == alerts.answer("subscribers", "show", ANN)
    assert alerts.run("subscribers", "erase", ANN, stdin="n\n").exit_code == 1
    assert alerts.said("subscribers", "state", ANN) == "unsubscribed"
    assert alerts.answer("subscribers", "erase", ANN, "--yes") == {"address": ANN, "erased": True}
    assert alerts.said("subscribers", "state", ANN) == "none"
    for words in (["unsubscribe", ANN], ["erase", ANN, "--yes"]):
        assert ANN in alerts.refusal("subscribers", *words)


def test_what_is_no_address_is_refused(alerts: Commands) -> None:
    for words in (["subscribers", "state"], ["subscribers", "show"], ["suppressions", "add"]):
        assert alerts.refusal(*words, "nonsense").startswith("Enter an e-mail address in the form name@example.org")


def test_a_suppressed_address_gets_no_mail_until_it_is_lifted(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd")
    assert alerts.said("suppressions", "add", ANN, "--reason", "asked by phone") == f"Suppressed: {ANN}"
    alerts.said("suppressions", "add", ANN, "--reason", "again")
    rows = alerts.answer("suppressions", "list")
    assert [(row["address"], row["reason"], row["detail"]) for row in rows] == [(ANN, "operator", "asked by phone")]
    assert alerts.said("suppressions", "list").startswith(f"{ANN}  operator")
    update = str(alerts.add("A title", "--topic", "idd", "--approve"))
    installation.tick(TUESDAY)
    assert "A title" not in installation.subjects(ANN)
    assert alerts.answer("explain", ANN, update)["suppression"] == "operator"
    assert {line["state"] for line in ledger(alerts, "--update", update)} <= {"suppressed"}
    assert alerts.misuse("suppressions", "lift", ANN) == "Error: Missing option '--reason'."
    assert alerts.said("suppressions", "lift", ANN, "--reason", "asked again") == f"Lifted: {ANN}"
    assert alerts.answer("suppressions", "list") == []
    assert alerts.refusal("suppressions", "lift", ANN, "--reason", "x") == f"There is no suppression for “{ANN}”."


def test_a_suppressed_stranger_is_listed_by_hash_only(alerts: Commands) -> None:
    alerts.said("suppressions", "add", ANN)
    assert ANN not in alerts.said("suppressions", "list")
    assert alerts.said("subscribers", "state", ANN) == "suppressed"


def test_a_paused_edition_waits_until_it_is_resumed(alerts: Commands, installation: Installation) -> None:
    follow(installation, ANN, "idd")
    alerts.add("A title", "--topic", "idd", "--approve")
    opened = alerts.answer("editions", "open", "--now", TUESDAY)
    assert opened["deliveries"] == 1
    rows = alerts.answer("editions", "list")
    edition = next(str(row["id"]) for row in rows if row["deliveries"])
    assert sorted(row["id"] for row in rows) == sorted(opened["editions"])
    assert alerts.said("editions", "pause", edition, "--reason", "a wrong date") == f"Paused: edition {edition}"
    assert "PAUSED" in alerts.said("editions", "list")
    assert alerts.answer("editions", "show", edition)["paused_reason"] == "a wrong date"
    assert alerts.answer("deliver", "--drain")["sent"] == 0
    assert alerts.said("outbox", "count") == "1"
    assert alerts.said("editions", "resume", edition) == f"Resumed: edition {edition}"
    assert alerts.answer("deliver", "--drain")["sent"] == 1
    outcomes = alerts.answer("editions", "show", edition)["outcomes"]
    assert [(row["state"], row["deliveries"]) for row in outcomes] == [("sent", 1)]
    assert "frequency: weekly" in alerts.said("editions", "show", edition)


def test_an_edition_that_is_not_there_is_refused(alerts: Commands) -> None:
    for verb in ("show", "pause", "resume"):
        assert alerts.refusal("editions", verb, "999") == "There is no edition “999”."


def test_opening_twice_opens_once(alerts: Commands) -> None:
    assert alerts.answer("editions", "open", "--now", TUESDAY)["editions"]
    assert alerts.answer("editions", "open", "--now", TUESDAY) == {"released": 0, "editions": [], "deliveries": 0}


def test_a_relay_that_is_away_leaves_the_mail_waiting_and_the_answer_clean(
    alerts: Commands, installation: Installation
) -> None:
    installation.site.post("/subscribe", data={"email": ANN, "topics": "idd", "frequency": "weekly"})
    nowhere = f"smtp://127.0.0.1:{free_port()}"
    done = alerts.run("deliver", "--drain", "--json", ALERTS_SMTP_URL=nowhere)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["sent"] == 0
    assert "relay cannot be used; mail waits" in done.stderr
    assert alerts.said("outbox", "count") == "1"
