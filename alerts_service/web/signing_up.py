"""The sign-up form, and the page that says: look in your inbox."""

from dataclasses import dataclass, field

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid, NearMiss, Refused
from alerts_service.rules.slots import Frequency
from alerts_service.services import catalogue, subscribing
from alerts_service.services.subscribing import Asked
from alerts_service.web import pages, sealed_forms
from alerts_service.web.languages import sentence, speak, spoken

blueprint = Blueprint("signing_up", __name__)


@dataclass(frozen=True)
class Form:
    """The form as it is shown: what was chosen, and what is wrong with it, by field."""

    email: str = ""
    topics: frozenset[str] = frozenset()
    frequency: str = Frequency.WEEKLY
    source: str = ""
    # The domain that was asked about, and the address that was probably meant.
    sure_of: str = ""
    suggestion: str = ""
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
    speak(request.form.get("lang", ""))
    asked = _asked(request.form)
    try:
        subscribing.ask(asked, settings=pages.settings(), now=utcnow())
    except Invalid as invalid:
        return _form(_refused(asked, invalid.errors)), invalid.status
    return to_inbox(asked)


@blueprint.post("/check-your-inbox")
def ask_again() -> ResponseReturnValue:
    """Take the same form once more: what the page's address carries."""
    speak(request.form.get("lang", ""))
    asked = sealed_forms.read(request.form.get("again", ""))
    if asked is None:
        return redirect(pages.address("signing_up.form", spoken()), 303)
    try:
        subscribing.ask(asked, settings=pages.settings(), now=utcnow())
    except Invalid as invalid:
        return _form(_refused(asked, invalid.errors)), invalid.status
    return to_inbox(asked, repeated=True)


@blueprint.get("/check-your-inbox")
def check_your_inbox() -> ResponseReturnValue:
    """The same words for everybody; the button that asks again if the address carries the form."""
    again = request.args.get("again", "")
    return render_template("pages/check_your_inbox.html", again=again, asked=sealed_forms.read(again))


def to_inbox(asked: Asked, *, repeated: bool = False) -> ResponseReturnValue:
    """Lead to “look in your inbox”."""
    address = pages.address("signing_up.check_your_inbox", asked.locale)
    return redirect(f"{address}&again={sealed_forms.seal(asked)}{'&repeated=1' if repeated else ''}", 303)


def _asked(given: MultiDict[str, str]) -> Asked:
    return Asked(
        address=given.get("instead") or pages.email_given(),
        topics=tuple(dict.fromkeys(given.getlist("topics"))),
        frequency=given.get("frequency", ""),
        locale=spoken(),
        source=given.get("source", ""),
        page=pages.address("signing_up.form"),
        wording=pages.consent_wording(),
        network=pages.network(),
        sure_of=given.get("sure", ""),
    )


def _refused(asked: Asked, errors: list[Refused]) -> Form:
    """Return the form as it was filled in, with what is wrong with it and what may have been meant."""
    meant = next((error for error in errors if isinstance(error, NearMiss)), None)
    return Form(
        email=asked.address,
        topics=frozenset(asked.topics),
        frequency=asked.frequency,
        source=_kept(asked.source),
        sure_of=asked.address.rpartition("@")[2].strip() if meant else asked.sure_of,
        suggestion=str(meant.values["suggestion"]) if meant else "",
        errors=by_field(errors),
    )


def _form(shown: Form) -> str:
    return render_template(
        "pages/sign_up.html",
        form=shown,
        categories=catalogue.choices(spoken()),
        frequencies=list(Frequency),
        wording=pages.consent_wording(),
    )


def _kept(source: str) -> str:
    """A source that can be kept; a person cannot see or mend the hidden field that holds it."""
    return source if source.isprintable() and len(source) <= subscribing.LONGEST_SOURCE else ""


def by_field(errors: list[Refused]) -> dict[str, list[str]]:
    """Return the sentences of errors in the language of the page, by the field they belong to."""
    found: dict[str, list[str]] = {}
    for error in errors:
        found.setdefault(error.field, []).append(sentence(error))
    return found
