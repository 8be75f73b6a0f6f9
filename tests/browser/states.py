"""Every page in every state it can be in: what is looked at by axe, by the validator, and at every width."""

from collections.abc import Mapping
from datetime import timedelta

from flask.testing import FlaskClient

from tests.scene import Scene
from tests.web.asking import FORM
from tests.web.conftest import Town

NO_PAGES = {"subscribe", "alive", "ready", "scheduler", "robots", "icon"}
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
    inbox = client.post("/subscribe", data=FORM | wish).headers["Location"]
    looked |= {"asked": inbox, "asked again": f"{inbox}&repeated=1", "saved": f"{paths['preferences']}?saved=1"}
    found = {name: client.get(path, query_string=None if "?" in path else wish) for name, path in looked.items()}
    found["saved"] = client.get(paths["preferences"], query_string=wish | {"said": "saved"})
    for name, path, form in (
        ("wrong form", "/subscribe", {"email": "ann@", "frequency": "hourly"}),
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


def expired(scene: Scene) -> str:
    """Return a confirmation link that has expired."""
    earlier = Scene(scene.settings, scene.now - timedelta(days=8))
    earlier.ask("dora@example.org", "idd")
    return f"/confirm/{earlier.confirm_token('dora@example.org')}"
