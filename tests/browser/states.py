"""Every page in every state it can be in: what is looked at by axe, by the validator, and at every width."""

from collections.abc import Mapping
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from alerts_service.db import db
from alerts_service.models import AddressChange, FreshLink
from alerts_service.rules import tokens
from alerts_service.services import preferences
from tests.scene import Scene
from tests.web.asking import FORM
from tests.web.conftest import Town

NO_PAGES = {
    "subscribe",
    "calendar",
    "feed",
    "alive",
    "ready",
    "scheduler",
    "surges",
    "robots",
    "icon",
    "widget",
    "kept_widget",
    "api_form",
}
LONG = "https://example.org/" + "x" * 200 + "\n\n> quoted\n\n- one\n\n      " + "code " * 60


def pages(client: FlaskClient, town: Town, language: str) -> Mapping[str, str]:
    """Return the HTML of every page in every state, in a language, by what it is."""
    wish = {"lang": language}
    scene, paths = town.scene, town.paths
    long = scene.release(
        "Donau" * 30, summary=LONG, url="https://example.org/", registration_url="https://example.org/"
    )
    looked = {name: path for name, path in paths.items() if name not in NO_PAGES}
    looked |= {"expired": expired(scene), "nothing": "/nothing", "long": f"/updates/{long}"}
    looked |= archived(scene, language)
    inbox = client.post("/subscribe", data=FORM | wish).headers["Location"]
    looked |= {"asked": inbox, "asked again": f"{inbox}&repeated=1", "saved": f"{paths['preferences']}?saved=1"}
    found = {name: client.get(path, query_string=None if "?" in path else wish) for name, path in looked.items()}
    found |= own_data(client, town, wish)
    found["saved"] = client.get(paths["preferences"], query_string=wish | {"said": "saved"})
    for name, path, form in (
        ("wrong form", "/subscribe", {"email": "ann@", "frequency": "hourly"}),
        ("wrong form in a frame", "/embed", {"email": "ann@", "frequency": "hourly"}),
        ("question", "/subscribe", FORM | {"email": "ann@gmial.com"}),
        ("link sent", "/preferences", {"email": town.ann}),
        ("link refused", "/preferences", {"email": ""}),
        ("choices refused", paths["preferences"], {"topics": ["nonsense"], "frequency": "", "language": language}),
        ("some left", paths["unsubscribe"], {"what": "these"}),
        ("just confirmed", paths["confirmed"], {}),
        ("denied", paths["not_me"], {}),
        ("confirming what was denied", paths["confirm"], {}),
    ):
        found[name] = client.post(path, data=form | wish, query_string=wish)
    return {name: answer.text for name, answer in found.items()}


def archived(scene: Scene, language: str) -> dict[str, str]:
    """Return a topic with more than a page of updates, its second page, an event that is over, and its follow-up."""
    hour = timedelta(hours=1)
    over = scene.release(
        "A webinar of yesterday", "caregivers", starts_at=scene.now - 2 * hour, ends_at=scene.now - hour
    )
    replay = scene.release(
        "Its replay", "caregivers", kind="webinar-replay", follow_up_of=over, title_es="Su grabación"
    )
    for number in range(20):
        scene.release(f"Tip sheet {number}", "caregivers", summary="Simple steps. " * 30)
    topic = "/topics/caregivers"
    older = {"older": f"{topic}?before=12&lang={language}", "no older": f"{topic}?before=1&lang={language}"}
    return {"long topic": topic, "over": f"/updates/{over}", "replay": f"/updates/{replay}"} | older


def own_data(client: FlaskClient, town: Town, wish: dict[str, str]) -> dict[str, TestResponse]:
    """Pause, and go through a change of address and an erasure of Cy; return the pages met."""
    scene, keys, mine = town.scene, town.scene.settings.secret_keys, town.paths["preferences_left"]
    preferences.pause(town.paths["preferences"].rpartition("/")[2], until=None, **scene.at)
    found = {"paused": client.get(town.paths["preferences"], query_string=wish | {"said": "paused"})}
    preferences.resume(town.paths["preferences"].rpartition("/")[2], **scene.at)
    bad_day = {"pause": "1", "until": "2020-01-01"}
    found["pause refused"] = client.post(town.paths["preferences"], data=bad_day, query_string=wish)
    client.post(mine, data={"topics": ["idd", "policy"], "frequency": "daily", "frequency-idd": "monthly"})
    found["topics apart"] = client.get(mine, query_string=wish)

    def fresh() -> str:
        client.post(mine, data={"own_data": "1"})
        db.session.rollback()
        link = db.session.scalars(select(func.max(FreshLink.id))).one()
        return f"/your-data/{tokens.own_data_token(keys, link, scene.now)}"

    link = fresh()
    found["own data"] = client.get(link, query_string=wish)
    found["no address"] = client.post(link, data={"email": "ann@"}, query_string=wish)
    found["not sure"] = client.post(link, data={"erase": "1"}, query_string=wish)
    found["address asked"] = client.post(link, data={"email": f"{scene.now:%s%f}@example.net"}, query_string=wish)
    found["link used"] = client.get(link, query_string=wish)
    db.session.rollback()
    change = db.session.scalars(select(func.max(AddressChange.id))).one()
    there = f"/new-address/{tokens.new_address_token(keys, change, scene.now)}"
    back = f"/former-address/{tokens.former_address_token(keys, change, scene.now)}"
    found["new address"] = client.get(there, query_string=wish)
    found["address changed"] = client.post(there, query_string=wish)
    found["former address"] = client.get(back, query_string=wish)
    found["address restored"] = client.post(back, query_string=wish)
    found["erased"] = client.post(fresh(), data={"erase": "1", "agreed": "1"}, query_string=wish)
    return found


def expired(scene: Scene) -> str:
    """Return a confirmation link that has expired."""
    earlier = Scene(scene.settings, scene.now - timedelta(days=8))
    earlier.ask("dora@example.org", "idd")
    return f"/confirm/{earlier.confirm_token('dora@example.org')}"
