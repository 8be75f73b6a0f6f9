"""A sign-up form sealed into the address of the page after it, so that asking again needs no cookie and no typing.

What it holds is what was taken: it was checked before it was sealed, and is checked again when it is asked again.
"""

import json
from datetime import timedelta

from alerts_service.clock import utcnow
from alerts_service.errors import LinkAltered
from alerts_service.rules import sealing
from alerts_service.services.subscribing import Asked
from alerts_service.web import pages

LIFETIME = timedelta(days=1)
_PURPOSE = "sign-up form"


def seal(asked: Asked) -> str:
    """Return a form as a token."""
    kept = [asked.address, asked.topics, asked.frequency, asked.locale, asked.source, asked.sure_of]
    return sealing.seal(pages.settings().secret_keys, _PURPOSE, json.dumps(kept), utcnow())


def read(token: str) -> Asked | None:
    """Return the form in a token, as asked from here and now; None where it is not whole or older than a day."""
    try:
        text = sealing.unseal(pages.settings().secret_keys, _PURPOSE, token, LIFETIME, utcnow())
    except LinkAltered:
        return None
    address, topics, frequency, locale, source, sure_of = json.loads(text)
    return Asked(
        address=address,
        topics=tuple(topics),
        frequency=frequency,
        locale=locale,
        source=source,
        page=pages.address("signing_up.check_your_inbox"),
        wording=pages.consent_wording(),
        network=pages.network(),
        sure_of=sure_of,
    )
