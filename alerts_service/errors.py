"""The family of errors. An error's docstring is the sentence a person reads.

`{name}` in a docstring is filled from the keyword arguments. Entry points translate an error to a status
(`status`) or an exit code (1) and show `str(error)`; the web first looks its `template` up in the
reader's language. Nobody else catches what they cannot mend.
"""

import inspect
from typing import ClassVar


class AlertsError(Exception):
    """Something went wrong, and nothing was changed."""

    status: ClassVar[int] = 400
    # When it may work, in seconds: what Retry-After says (RFC 9110, 10.2.3).
    retry_after: int | None = None

    def __init__(self, **values: object) -> None:
        super().__init__()
        self.values = values

    @property
    def template(self) -> str:
        """The sentence before its values are filled in: the key for translation."""
        return " ".join(inspect.cleandoc(type(self).__doc__ or "").split())

    def __str__(self) -> str:
        return self.template.format(**self.values)


class Refused(AlertsError):
    """This was refused."""

    status = 422
    field: ClassVar[str] = ""


class Invalid(AlertsError):
    """Some of what was entered cannot be used."""

    status = 422

    def __init__(self, errors: list[Refused]) -> None:
        super().__init__()
        self.errors = errors

    def __str__(self) -> str:
        return " ".join(str(error) for error in self.errors)


class AddressMissing(Refused):
    """Enter your e-mail address."""

    field = "email"


class AddressRefused(Refused):
    """Enter an e-mail address in the form name@example.org: {reason}"""

    field = "email"


class NearMiss(Refused):
    """Did you mean {suggestion}? If so, correct your address. If not, send the form again as it is."""

    field = "email"


class SameAddress(Refused):
    """Your e-alerts go to this address already."""

    field = "email"


class NotSure(Refused):
    """Tick the box to say that you are sure."""

    field = "agreed"


class NoTopic(Refused):
    """Choose at least one topic."""

    field = "topics"


class UnknownTopic(Refused):
    """There is no topic “{slug}”. Choose from the list."""

    field = "topics"


class UnknownFrequency(Refused):
    """Choose how often: immediate, daily, weekly or monthly."""

    field = "frequency"


class PauseRefused(Refused):
    """Choose a day from tomorrow on, within a year; or leave it empty."""

    field = "until"


class TextRefused(Refused):
    """The text in “{name}” is too long or holds characters that cannot be used."""


class WordsChanged(Refused):
    """The words you agree to have changed. Please read them, then send the form again."""

    field = "wording"


class SentTooSoon(Refused):
    """That was very quick. What you chose is kept: look at it once more, then send the form again."""

    field = "started"


class OpenTooLong(Refused):
    """This page had been open for more than a day. What you chose is kept: look at it once more, then send the
    form again."""

    field = "started"


class TooManyRequests(AlertsError):
    """Too many people are asking for this just now. Please try again in about {minutes} min."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(minutes=-(-seconds // 60))
        self.retry_after = seconds


class LinkAltered(AlertsError):
    """This link is not complete. Open the whole link from the e-mail, or ask for a new one."""

    status = 404


class LinkExpired(AlertsError):
    """This link has expired. Ask for a new one."""

    status = 410


class LinkUsed(AlertsError):
    """This link has been used: it works once. Ask for a new one on your preferences page."""

    status = 410


class AddressTaken(AlertsError):
    """That address gets e-alerts of its own now, so nothing was changed. Leave there first, then try again."""

    status = 409


class NotFound(AlertsError):
    """There is no {what} “{key}”."""

    status = 404


class UpdateRefused(Refused):
    """The update was refused: {reason}"""


class WrongState(Refused):
    """This cannot be done now: {reason}"""

    status = 409


class RateRefused(Refused):
    """The limit was refused: {reason}"""


class CatalogueRefused(Refused):
    """The catalogue was refused, and nothing was changed: {reason}"""


class SettingsRefused(AlertsError):
    """The settings cannot be used:
    {reasons}"""

    def __str__(self) -> str:
        reasons = self.values["reasons"]
        assert isinstance(reasons, list)
        return "\n".join(["The settings cannot be used:", *(f"  {reason}" for reason in reasons)])


class SchemaOutdated(AlertsError):
    """The database is not at this version's schema. Run: alerts init"""


class DatabaseUnusable(AlertsError):
    """The database cannot be used: {reason}"""


class KeyMismatch(AlertsError):
    """The permanent key is not the one this database was made with. Give back the old key
    (ALERTS_PERMANENT_KEY, or permanent.key in ALERTS_STATE_DIR): links and suppressions depend on it."""


class SendingHeld(AlertsError):
    """Nothing is sent."""


class JournalAhead(SendingHeld):
    """Nothing is sent: this database is older than the journal of this host, or was written beside another one;
    most likely it was restored from a backup. Run: alerts restore reconcile"""


class JournalMissing(SendingHeld):
    """Nothing is sent: the journal of this host is missing from ALERTS_STATE_DIR. Give it back, or run: alerts
    restore reconcile"""


class HostUnknown(SendingHeld):
    """Nothing is sent: others have sent from this database, and this host (or its ALERTS_STATE_DIR) is new to it.
    It joins by itself once it sees another one at work; where there is none, run: alerts restore reconcile"""


class BaseUrlChanged(SendingHeld):
    """Nothing is sent: this database was made for {remembered}, and ALERTS_BASE_URL is {present}. If that is
    meant, run: alerts restore reconcile"""


class HostsAwaited(SendingHeld):
    """Nothing is sent: this database is older than the journal of {hosts}. Run there: alerts restore reconcile.
    Where it is gone for good, run here: alerts restore reconcile --without HOST"""


class CopyRefused(AlertsError):
    """The copy was not made: {reason}"""
