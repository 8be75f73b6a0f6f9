"""The links of single mails, made from the base URL, never from a request."""

from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

from alerts_service.config import Settings
from alerts_service.rules import tokens


def confirm(sign_up_id: int, settings: Settings, now: datetime) -> str:
    """Return the link to the page with the one button."""
    return f"{settings.base_url}/confirm/{tokens.confirm_token(settings.secret_keys, sign_up_id, now)}"


def not_me(sign_up_id: int, settings: Settings, now: datetime) -> str:
    """Return the link that ends a sign-up made by somebody else."""
    return f"{settings.base_url}/not-me/{tokens.not_me_token(settings.secret_keys, sign_up_id, now)}"


def preferences(subscriber_id: int, settings: Settings, now: datetime) -> str:
    """Return the link to one's own topics."""
    token = tokens.preferences_token(settings.secret_keys[0], subscriber_id, now)
    return f"{settings.base_url}/preferences/{token}"


def own_data(link_id: int, settings: Settings, now: datetime) -> str:
    """Return the link to one's own data, which works once."""
    return f"{settings.base_url}/your-data/{tokens.own_data_token(settings.secret_keys, link_id, now)}"


def new_address(change_id: int, settings: Settings, now: datetime) -> str:
    """Return the link that confirms a change of address."""
    return f"{settings.base_url}/new-address/{tokens.new_address_token(settings.secret_keys, change_id, now)}"


def former_address(change_id: int, settings: Settings, now: datetime) -> str:
    """Return the link that undoes a change of address."""
    return f"{settings.base_url}/former-address/{tokens.former_address_token(settings.secret_keys, change_id, now)}"


def unsubscribe(subscriber_id: int, settings: Settings) -> str:
    """Return the link to leave, which belongs to no digest."""
    assert settings.permanent_key is not None
    return f"{settings.base_url}/unsubscribe/{tokens.unsubscribe_token(settings.permanent_key, subscriber_id)}"


def undo(subscriber_id: int, ended_at: datetime, settings: Settings) -> str:
    """Return the link that undoes an end, by the button behind it."""
    return f"{settings.base_url}/undo/{tokens.undo_token(settings.secret_keys, subscriber_id, ended_at)}"


def home(locale: str, settings: Settings) -> str:
    """Return the sign-up page in `locale`."""
    default = locale == settings.languages[0]
    return f"{settings.base_url}/" if default else f"{settings.base_url}/?lang={locale}"


def contact(settings: Settings) -> str:
    """Return where readers reach a person: the contact setting, else the mailbox that takes replies."""
    return settings.contact_url or f"mailto:{parseaddr(settings.reply_to or settings.from_address)[1]}"


def host(url: str) -> str:
    """Return where an address leads, as people know it."""
    return (urlsplit(url).hostname or "").removeprefix("www.")
