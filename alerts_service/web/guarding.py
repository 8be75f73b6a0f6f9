"""What a sign-up passes before it is taken, whether it came by the form or by the API.

In this order: the field that people never see, the limits of the hour, how long the form had been open; then the
service, which has the cap on mails to one mailbox and the switch. Whoever filled in the unseen field gets the usual
answer, and nothing is written.
"""

from flask import Flask, request

from alerts_service.clock import utcnow
from alerts_service.errors import Invalid
from alerts_service.rules import form_times
from alerts_service.services import subscribing
from alerts_service.services.subscribing import Asked
from alerts_service.web import limiting, pages

# The fields that templates/pages/guards.html puts into a form.
STARTED, UNSEEN = "started", "comment"


def register(app: Flask) -> None:
    """Let templates say when a form was shown."""
    app.add_template_global(_form_time, "form_time")


def sign_up(asked: Asked, *, started: str, unseen: str) -> None:
    """Take a sign-up. `started`: the form time it carries; `unseen`: what stands in the field for machines.

    Raises TooManyRequests; Invalid with every error, SentTooSoon and OpenTooLong alone, as the form itself is good.
    """
    if unseen:
        return
    settings, now = pages.settings(), utcnow()
    age = form_times.age(settings.secret_keys, started, now)
    turns = limiting.sign_ups(asked.network, timed=age is not None)
    limits = limiting.limits()
    limits.check(turns)
    wrong = form_times.wrong(age)
    if wrong:
        subscribing.check(asked)
        raise Invalid([wrong])
    subscribing.ask(asked, settings=settings, now=now)
    limits.count(turns)


def _form_time() -> str:
    return form_times.kept_or_new(pages.settings().secret_keys, request.form.get(STARTED, ""), utcnow())
