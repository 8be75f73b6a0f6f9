"""A confirmation link that has expired: what it asked for, to be asked again with one button."""

from alerts_service.config import Settings
from alerts_service.db import db
from alerts_service.errors import LinkExpired
from alerts_service.models import SignUp
from alerts_service.rules import tokens
from alerts_service.services.subscribing import Asked, SignUpSeen


def look(token: str, *, settings: Settings) -> SignUpSeen:
    """Return what an expired link asked for; changes nothing. Raises LinkAltered, and LinkExpired if it is settled."""
    sign_up = _unanswered(token, settings)
    titles = [topic.title_in(sign_up.locale) for topic in sign_up.topics]
    return SignUpSeen(sign_up.address, titles, sign_up.frequency, sign_up.locale, confirmed=False, left=False)


def asked_again(token: str, *, wording: str, page: str, network: str, settings: Settings) -> Asked:
    """Return the same as an expired link asked for, as asked from here and now. Raises as `look` does."""
    sign_up = _unanswered(token, settings)
    return Asked(
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


def _unanswered(token: str, settings: Settings) -> SignUp:
    """Return the sign-up of a link of any age. One that was confirmed or denied is not asked for again."""
    sign_up = db.session.get(SignUp, tokens.read_old_confirm(settings.secret_keys, token))
    if sign_up is None or sign_up.ended_at or sign_up.confirmed_at:
        raise LinkExpired
    return sign_up
