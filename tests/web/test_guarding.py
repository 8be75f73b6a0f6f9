"""What stands between the form and abuse: form time, limits, and a field for machines."""

import dataclasses
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from alerts_service.clock import utcnow
from alerts_service.config import Settings
from alerts_service.errors import TooManyRequests
from alerts_service.rules import tokens
from alerts_service.web.limiting import Limits, sign_ups
from tests.databases import ON_SQLITE, free_port, unavailable
from tests.scene import DAY, Scene, rows
from tests.web.asking import ANN, FORM, answered, checked, problems, value
from tests.web.conftest import OpenSite, contents

pytestmark = ON_SQLITE  # nothing here asks the database anything of its own
SECOND = timedelta(seconds=1)
SENT_TOO_SOON = "That was very quick. What you chose is kept: look at it once more, then send the form again."
TIMED, UNTIMED = (sign_ups("192.0.2.0/24", timed=timed) for timed in (True, False))


def opened(scene: Scene, ago: timedelta) -> str:
    """The time of a form that was shown so long ago."""
    return tokens.form_time(scene.settings.secret_keys, utcnow() - ago)


def send(site: FlaskClient, number: int, network: str = "", **fields: Any) -> TestResponse:
    """Send a form of its own address."""
    headers = {"X-Forwarded-For": network} if network else {}
    return site.post("/subscribe", data=FORM | {"email": f"n{number}@example.org"} | fields, headers=headers)


def test_a_form_that_is_sent_at_once_comes_back_filled_in_and_can_be_sent_again(
    client: FlaskClient, scene: Scene
) -> None:
    before, started = contents(), value(client.get("/").text, "started")
    answer = client.post("/subscribe", data=FORM | {"started": started, "source": "poster"})
    assert answer.status_code == 422
    assert problems(answer.text) == [SENT_TOO_SOON]
    assert contents() == before
    assert (value(answer.text, "email"), value(answer.text, "source")) == (ANN, "poster")
    assert (sorted(checked(answer.text, "topics")), checked(answer.text, "frequency")) == (["idd", "policy"], ["daily"])
    again = value(answer.text, "started")
    assert again != started
    assert tokens.read_form_time(scene.settings.secret_keys, again, utcnow()) < SECOND
    assert client.post("/subscribe", data=FORM | {"started": opened(scene, 3 * SECOND)}).status_code == 303


def test_a_form_that_was_open_for_more_than_a_day_comes_back_with_a_new_time(client: FlaskClient, scene: Scene) -> None:
    for ago, status in ((DAY - 5 * SECOND, 303), (DAY + SECOND, 422), (-DAY, 422)):
        answer = client.post("/subscribe?lang=es", data=FORM | {"started": opened(scene, ago)})
        assert answer.status_code == status, ago
    old = client.post("/subscribe", data=FORM | {"started": opened(scene, 300 * DAY)})
    assert problems(old.text)[0].startswith("This page had been open for more than a day.")
    assert tokens.read_form_time(scene.settings.secret_keys, value(old.text, "started"), utcnow()) < SECOND


def test_mistakes_are_said_first_and_a_good_time_is_kept_for_the_next_try(client: FlaskClient, scene: Scene) -> None:
    bad = FORM | {"email": "ann"}
    for ago, kept in ((0 * SECOND, False), (5 * SECOND, True), (2 * DAY, False)):
        started = opened(scene, ago)
        page = client.post("/subscribe", data=bad | {"started": started}).text
        assert len(problems(page)) == 1
        assert "in the form name@example.org" in problems(page)[0]
        assert (value(page, "started") == started) is kept


def test_without_a_time_of_ours_twenty_an_hour_are_taken_from_a_network(client: FlaskClient, scene: Scene) -> None:
    for number in range(25):
        assert send(client, number, email="no address").status_code == 422, "a mistake costs no turn"
    forged = tokens.form_time(["another-key-of-thirty-two-characters"], utcnow() - 5 * SECOND)
    for number in range(20):
        assert send(client, number, **({"started": forged} if number % 2 else {})).status_code == 303
    before = contents()
    refused = send(client, 21, lang="es")
    assert refused.status_code == 429
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["Cache-Control"] == "no-store"
    assert "Inténtelo de nuevo dentro de unos 60 min." in refused.text
    assert send(client, 22, "198.51.100.1").status_code == 429, "no proxy is trusted, so nobody may say where from"
    assert contents() == before
    assert send(client, 23, started=opened(scene, 5 * SECOND)).status_code == 303, "who has a time is not held up"
    assert client.get("/").status_code == 200


def test_a_hundred_an_hour_are_taken_from_a_network_and_others_are_not_held_up(another: OpenSite, scene: Scene) -> None:
    site, started = another(trusted_proxies=1), opened(scene, 5 * SECOND)
    for number in range(100):
        assert send(site, number, f"2001:db8:1:{number}::1", started=started).status_code == 303
    assert send(site, 100, "2001:db8:1:ffff::1", started=started).status_code == 429
    assert send(site, 101, "2001:db8:2::1", started=started).status_code == 303
    assert send(site, 102, "192.0.2.1, 2001:db8:1::1", started=started).status_code == 429, "what a client adds"
    assert rows()["sign_ups"] == 101


def test_twenty_links_to_preferences_an_hour_are_mailed_at_the_wish_of_a_network(
    client: FlaskClient, scene: Scene
) -> None:
    for number in range(20):
        assert client.post("/preferences", data={"email": "no address"}).status_code == 422
        assert client.post("/preferences", data={"email": f"n{number}@example.org"}).status_code == 200
    before = contents()
    assert client.post("/preferences", data={"email": ANN}).status_code == 429
    assert contents() == before
    assert send(client, 1).status_code == 303


def test_three_thousand_an_hour_are_taken_on_the_whole_site(settings: Settings) -> None:
    limits = Limits(settings)
    for number in range(3000):
        limits.check(sign_ups(f"net {number}", timed=True))
        limits.count(sign_ups(f"net {number}", timed=True))
    with pytest.raises(TooManyRequests):
        limits.check(sign_ups("another", timed=True))


def test_limits_that_are_off_hold_nobody_up_and_a_form_sent_at_once_still_comes_back(another: OpenSite) -> None:
    site = another(limits=False)
    assert {send(site, number).status_code for number in range(25)} == {303}
    assert send(site, 0, started=value(site.get("/").text, "started")).status_code == 422


def test_who_fills_in_the_unseen_field_gets_the_usual_answer_and_nothing_is_written(
    client: FlaskClient, scene: Scene
) -> None:
    before = contents()
    caught = send(client, 1, comment="Buy now")
    assert contents() == before
    usual = send(client, 1)
    assert usual.status_code == 303
    assert answered(caught) == answered(usual)
    assert rows()["sign_ups"] == 1


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real Redis on loopback that keeps nothing."""
    program = shutil.which("redis-server")
    if not program:
        unavailable("Redis is not there: apt-get install redis-server")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([str(program), *options], stdout=subprocess.DEVNULL) as server:
        while not answers(port):
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
        server.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_processes_that_share_a_redis_share_their_counts_and_count_alone_while_it_is_away(
    settings: Settings, redis_url: str
) -> None:
    shared = dataclasses.replace(settings, redis_url=redis_url)
    one, two = Limits(shared), Limits(shared)
    for number in range(20):
        (one, two)[number % 2].count(UNTIMED)
    for limits in (one, two):
        with pytest.raises(TooManyRequests) as refused:
            limits.check(UNTIMED)
        assert 3500 < (refused.value.retry_after or 0) <= 3600
    one.check(TIMED)
    Limits(dataclasses.replace(shared, base_url="http://localhost:1")).check(UNTIMED)
    away = Limits(dataclasses.replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    for _ in range(20):
        away.check(UNTIMED)
        away.count(UNTIMED)
    with pytest.raises(TooManyRequests):
        away.check(UNTIMED)
