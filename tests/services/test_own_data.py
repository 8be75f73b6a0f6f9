"""One's own data by a fresh link: what it needs, and what it leaves."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from alerts_service.db import Base, db
from alerts_service.errors import AddressTaken, LinkAltered, LinkExpired, LinkUsed, NotFound, SameAddress
from alerts_service.models import AddressChange, FreshLink, MailKind
from alerts_service.rules import tokens
from alerts_service.services import (
    candidates,
    consents,
    erasing,
    leaving,
    ledger,
    letters,
    matching,
    outbox,
    own_data,
    preferences,
    proving,
    readdressing,
    subscribers,
)
from tests.relays import Relay
from tests.scene import DAY, HOUR, Scene, at_once, rows

ANN = "ann@example.org"
BOB = "bob@example.org"
NEW = "new@example.net"
HERE: dict[str, Any] = {"page": "/p", "network": "192.0.2.0/24"}


def fresh(scene: Scene, address: str = ANN) -> str:
    """Ask for a link, and open the mail."""
    own_data.ask_link(scene.preferences_token(address), **scene.at)
    link = db.session.scalars(select(FreshLink.id).order_by(FreshLink.id.desc()).limit(1)).one()
    return tokens.own_data_token(scene.settings.secret_keys, link, scene.now)


def ask(scene: Scene, to: str, *, of: str = ANN) -> int:
    """Ask for a change of address; return its number."""
    readdressing.ask(fresh(scene, of), to, sure_of="", **scene.at)
    return db.session.scalars(select(AddressChange.id).order_by(AddressChange.id.desc()).limit(1)).one()


def confirming(scene: Scene, change: int) -> str:
    return tokens.new_address_token(scene.settings.secret_keys, change, scene.now)


def link_in(relay: Relay, address: str, path: str) -> str:
    """The token of a link in the newest mail to an address; its two parts say the same."""
    received = relay.to(address)[-1]
    token = received.part("plain").split(f"{path}/")[1].split()[0]
    assert f"{path}/{token}" in received.part("html")
    return token


def everything() -> str:
    """All that the database holds, as text."""
    db.session.rollback()
    tables = Base.metadata.sorted_tables
    return "\n".join(f"{t.name} {tuple(row)}" for t in tables for row in db.session.execute(t.select()))


def test_a_fresh_link_works_once_within_an_hour_and_goes_to_its_person_only(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN)
    own_data.ask_link(scene.preferences_token(ANN), **scene.at)
    scene.deliver()
    token = link_in(relay, ANN, "/your-data")
    assert ANN not in relay.to(ANN)[-1].part("plain")
    for bad in (token[:-1], scene.preferences_token(ANN), scene.confirm_token(ANN), ""):
        with pytest.raises(LinkAltered):
            own_data.look(bad, **scene.at)
    before = rows()
    with pytest.raises(SameAddress):
        readdressing.ask(token, ANN.upper(), sure_of="", **scene.at)
    assert (rows(), own_data.look(token, **scene.at).address) == (before, ANN), "what is refused uses nothing up"
    scene.now += HOUR + timedelta(seconds=1)
    with pytest.raises(LinkExpired):
        own_data.download(token, **scene.at)
    scene.now -= HOUR
    shown = subscribers.show(ANN, **scene.at)
    found = at_once(*[lambda: own_data.download(token, **scene.at)] * 2)
    assert sorted(type(each).__name__ for each in found) == ["LinkUsed", "dict"]
    assert json.loads(json.dumps(next(each for each in found if isinstance(each, dict)))) == shown
    with pytest.raises(LinkUsed):
        erasing.erase(token, **HERE, **scene.at)
    for _ in range(3):
        own_data.ask_link(scene.preferences_token(ANN), **scene.at)
    assert len(scene.deliveries(MailKind.DATA_LINK)) == letters.A_DAY


def test_a_change_of_address_counts_from_its_confirmation_and_repeats_nothing(scene: Scene, relay: Relay) -> None:
    scene.follow(ANN, "idd", frequency="daily")
    scene.release("First")
    scene.tick_at(14)
    scene.deliver()
    scene.release("Second")
    scene.tick_at(14, days=1)
    token = confirming(scene, ask(scene, NEW))
    seen = readdressing.look(token, **scene.at)
    assert (seen.address, seen.former_address, seen.done) == (NEW, "a…@example.org", False)
    for _ in range(2):
        readdressing.confirm(token, **HERE, **scene.at)
    scene.deliver()
    assert [mail.message["Subject"] for mail in relay.to(NEW)][-1] == "Second", "it had not been tried before"
    undo = link_in(relay, ANN, "/former-address")
    assert NEW not in relay.to(ANN)[-1].part("plain")
    shown = subscribers.show(NEW, **scene.at)
    assert shown["consent_chain_is_whole"]
    kinds = [row["kind"] for row in shown["consents"]]
    assert kinds == ["address taken", "asked", "confirmed", "address left"]
    assert subscribers.state(ANN, **scene.at) == "none"
    for _ in range(2):
        readdressing.undo(undo, **HERE, **scene.at)
    scene.release("Third")
    scene.tick_at(14, days=1)
    scene.deliver()
    assert [mail.message["Subject"] for mail in relay.to(ANN)][-1] == "Third"
    with pytest.raises(LinkExpired):
        readdressing.confirm(token, **HERE, **scene.at)
    assert all(consents.verify(db.session(), scene.address_hash(each)) for each in (ANN, NEW))


def test_an_undo_ends_after_seven_days_and_takes_every_later_change_with_it(scene: Scene) -> None:
    keys = scene.settings.secret_keys
    scene.follow(ANN)
    one = ask(scene, "x@example.net")
    readdressing.confirm(confirming(scene, one), **HERE, **scene.at)
    held = fresh(scene, "x@example.net")
    two = ask(scene, "y@example.net", of="x@example.net")
    readdressing.confirm(confirming(scene, two), **HERE, **scene.at)
    first, second = (tokens.former_address_token(keys, each, scene.now) for each in (one, two))
    scene.now += 7 * DAY + timedelta(seconds=1)
    with pytest.raises(LinkExpired):
        readdressing.undo(first, **HERE, **scene.at)
    scene.now -= HOUR
    readdressing.undo(first, **HERE, **scene.at)
    assert scene.subscriber(ANN).locale == "en"
    with pytest.raises(LinkExpired):
        readdressing.undo(second, **HERE, **scene.at)
    scene.now -= 7 * DAY - HOUR
    with pytest.raises(LinkUsed):
        own_data.download(held, **scene.at)


def test_who_has_the_new_address_decides_nothing_on_the_page_and_everything_in_the_mail(
    scene: Scene, relay: Relay
) -> None:
    scene.follow(ANN)
    scene.follow(BOB)
    scene.follow("left@example.org")
    old_link = scene.unsubscribe_token("left@example.org")
    scene.leave("left@example.org")
    scene.suppress("stopped@example.org")
    scene.deliver()
    written, changes = [], []
    for address in (BOB, "left@example.org", "stopped@example.org"):
        before = rows()
        changes.append(ask(scene, address))
        written.append({name: number - before[name] for name, number in rows().items() if number != before[name]})
    assert written == [{"fresh_links": 1, "address_changes": 1, "deliveries": 2}] * 3
    scene.deliver()
    assert "of its own already" in relay.to(BOB)[-1].part("plain")
    assert "/new-address/" not in relay.to(BOB)[-1].part("plain") + relay.to(BOB)[-1].part("html")
    assert relay.to("stopped@example.org") == []
    with pytest.raises(AddressTaken):
        readdressing.confirm(confirming(scene, changes[0]), **HERE, **scene.at)
    readdressing.confirm(link_in(relay, "left@example.org", "/new-address"), **HERE, **scene.at)
    assert subscribers.state("left@example.org", **scene.at) == "active"
    scene.now += DAY
    leaving.leave(old_link, only_these=False, **HERE, **scene.at)
    assert subscribers.state("left@example.org", **scene.at) == "unsubscribed", "an old mail's link still leaves"


def test_erasing_leaves_nothing_to_know_anybody_by_and_every_count_right(scene: Scene) -> None:
    person = scene.follow(ANN, "idd", frequency="daily")
    scene.follow(BOB, "idd", frequency="daily")
    first = scene.release("First")
    scene.tick_at(14)
    scene.deliver()
    readdressing.confirm(confirming(scene, ask(scene, NEW)), **HERE, **scene.at)
    scene.suppress(NEW, "complaint")
    second = scene.release("Second")
    scene.tick_at(14, days=1)
    scene.ask(NEW, "policy")
    ask(scene, "third@example.net", of=NEW)
    lines = len(list(ledger.lines(settings=scene.settings)))
    token = fresh(scene, NEW)
    erasing.erase(token, **HERE, **scene.at)
    with pytest.raises(LinkAltered):
        own_data.look(token, **scene.at)
    kept = everything()
    for trace in (ANN, NEW, "third@example.net", HERE["network"]):
        assert trace not in kept, trace
    hashed = {line.split()[0] for line in kept.splitlines() for each in (ANN, NEW) if scene.address_hash(each) in line}
    assert hashed == {"consents", "suppressions"}
    assert {row.reply for row in scene.deliveries() if row.subscriber_id == person} == {None}
    assert subscribers.state(NEW, **scene.at) == "suppressed"
    assert subscribers.state(ANN, **scene.at) == "none"
    for each in (ANN, NEW):
        assert consents.verify(db.session(), scene.address_hash(each))
        assert consents.history(db.session(), scene.address_hash(each))[-1].kind == "erased"
    scene.deliver()
    found = list(ledger.lines(settings=scene.settings))
    assert (len(found), len({line["key"] for line in found})) == (lines + 1, lines + 1)
    proof = proving.proof(second, now=scene.now)
    assert proof["adds_up"]
    assert (proof["matched"], proof["sent"], proof["cancelled_by_reason"]) == (2, 1, {"erased": 1})
    assert proving.proof(first, now=scene.now)["sent"] == 2
    assert outbox.count() == 0
    scene.release("Third")
    scene.tick_at(14, days=1)
    assert scene.deliver().sent == 1, "to Bob alone"


def test_an_operator_erases_who_only_asked_and_refuses_who_is_unknown(scene: Scene) -> None:
    scene.ask(ANN)
    token = scene.confirm_token(ANN)
    erasing.erase_address(ANN, **scene.at)
    assert ANN not in everything()
    with pytest.raises(LinkExpired):
        scene.confirm(token)
    with pytest.raises(NotFound):
        erasing.erase_address("nobody@example.org", **scene.at)
    scene.follow(ANN)
    assert subscribers.state(ANN, **scene.at) == "active", "who signs up again is somebody new"


def test_the_answer_for_one_person_is_looked_up_by_their_own_rows(scene: Scene) -> None:
    """A plan that reads a whole table would take seconds where there are a million people."""
    scene.follow(ANN, "idd", frequency="daily")
    scene.release("One")
    assert preferences.read(scene.preferences_token(ANN), **scene.at).next[0].updates == 1
    if scene.settings.database_url.startswith("sqlite"):
        plan = db.session.execute(text("EXPLAIN QUERY PLAN " + _waiting_sql(scene))).all()
        assert not [row for row in plan if "SCAN s" in str(row) or "SCAN p" in str(row)], plan


def _waiting_sql(scene: Scene) -> str:
    found = candidates.released(db.session(), 0, 10, scene.now)
    question = matching.Question("daily", 0, found, 0, 1, marks=True, now=scene.now, given_from=None, away_too=True)
    sql = matching.statement(question)
    for name, value in {"frequency": "'daily'", "from_seq": "0", "after": "0", "to": "1", "now": "''"}.items():
        sql = sql.replace(f":{name}", value)
    return sql
