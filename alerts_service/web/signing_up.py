"""The sign-up form, and the page that says: look in your inbox."""

from dataclasses import dataclass, field

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid, Refused
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue, subscribing
from alerts_service.services.subscribing import Asked
from alerts_service.web import pages
from alerts_service.web.languages import sentence, speak, spoken

blueprint = Blueprint("signing_up", __name__)


@dataclass(frozen=True)
class Form:
    """The form as it is shown: what was chosen, and what is wrong with it, by field."""

    email: str = ""
    topics: frozenset[str] = frozenset()
    frequency: str = Frequency.WEEKLY
    source: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)


@blueprint.get("/")
def form() -> ResponseReturnValue:
    """The form, with what the address preselects."""
    asked = request.args
    frequency = asked.get("frequency", "")
    return _form(
        Form(
            topics=frozenset(" ".join(asked.getlist("topics")).split()),
            frequency=frequency if frequency in set(Frequency) else Frequency.WEEKLY,
            source=_kept(asked.get("source", "")),
        )
    )


@blueprint.get("/subscribe")
def form_moved() -> ResponseReturnValue:
    """For those who reload the address of the form's answer."""
    return redirect(url_for(".form", lang=request.args.get("lang")), 303)


@blueprint.post("/subscribe")
def subscribe() -> ResponseReturnValue:
    """Take the form; the answer is the same for every well-formed address."""
    given = request.form
    speak(given.get("lang", ""))
    asked = Asked(
        address=pages.email_given(),
        topics=tuple(dict.fromkeys(given.getlist("topics"))),
        frequency=given.get("frequency", ""),
        locale=spoken(),
        source=given.get("source", ""),
        page=_page(given.get("archive_of", ""), given.getlist("topics")),
        wording=pages.consent_wording(),
        network=pages.network(),
    )
    try:
        subscribing.ask(asked, settings=pages.settings(), now=utcnow())
    except Invalid as invalid:
        errors = by_field(invalid.errors)
        shown = Form(asked.address, frozenset(asked.topics), asked.frequency, _kept(asked.source), errors)
        return _form(shown), invalid.status
    return redirect(pages.address("signing_up.check_your_inbox", asked.locale), 303)


@blueprint.get("/check-your-inbox")
def check_your_inbox() -> ResponseReturnValue:
    """The same words for everybody."""
    return render_template("pages/check_your_inbox.html")


def _form(shown: Form) -> str:
    return render_template(
        "pages/sign_up.html",
        form=shown,
        categories=catalogue.choices(spoken()),
        frequencies=list(Frequency),
        wording=pages.consent_wording(),
    )


def _page(slug: str, topics: list[str]) -> str:
    """The page that the form stands on: the sign-up page, or that of a topic which is asked for."""
    return url_for("archive.topic", slug=slug) if slug in topics else pages.address("signing_up.form")


def _kept(source: str) -> str:
    """A source that can be kept; a person cannot see or mend the hidden field that holds it."""
    return source if source.isprintable() and len(source) <= subscribing.LONGEST_SOURCE else ""


def by_field(errors: list[Refused]) -> dict[str, list[str]]:
    """Return the sentences of errors in the language of the page, by the field they belong to."""
    found: dict[str, list[str]] = {}
    for error in errors:
        found.setdefault(error.field, []).append(sentence(error))
    return found
