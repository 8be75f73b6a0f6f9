"""A confirmation link that has expired: what it asked for, and asking for the same again with one button."""

from datetime import datetime

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import LinkExpired
from alerts_service.models import SignUp
from alerts_service.rules import tokens
from alerts_service.services import subscribing
from alerts_service.services.subscribing import Asked, SignUpSeen


def look(token: str, *, settings: Settings) -> SignUpSeen:
    """Return what an expired link asked for; changes nothing. Raises LinkAltered, and LinkExpired if it is settled."""
    sign_up = _unanswered(token, settings)
    titles = [topic.title_in(sign_up.locale) for topic in sign_up.topics]
    return SignUpSeen(sign_up.address, titles, sign_up.frequency, sign_up.locale, confirmed=False, left=False)


def ask_again(token: str, *, wording: str, page: str, network: str, settings: Settings, now: datetime) -> Asked:
    """Ask for the same as an expired link, and return it. Raises as `look` does, and Invalid."""
    sign_up = _unanswered(token, settings)
    asked = Asked(
        address=sign_up.address,
        topics=tuple(topic.slug for topic in sign_up.topics),
        frequency=sign_up.frequency,
        locale=sign_up.locale,
        source=sign_up.source,
        page=page,
        wording=wording,
        network=network,
        sure_of=sign_up.address.rpartition("@")[2],
    )
    db.session.rollback()  # what was read must not hold the database while the sign-up is written
    subscribing.ask(asked, settings=settings, now=now)
    return asked


def _unanswered(token: str, settings: Settings) -> SignUp:
    """Return the sign-up of a link of any age. One that was confirmed or denied is not asked for again."""
    sign_up = db.session.get(SignUp, tokens.read_old_confirm(settings.secret_keys, token))
    if sign_up is None or sign_up.ended_at or sign_up.confirmed_at:
        raise LinkExpired
    return sign_up
