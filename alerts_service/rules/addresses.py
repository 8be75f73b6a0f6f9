"""E-mail addresses: read, compare, fold, mask.

Syntax is email-validator's (RFC 5321, 5322, 6531); no look-up is made. An address is stored as it is sent:
the domain in ASCII (A-labels), the local part as given. Comparison is by the casefolded form.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from alerts_service.errors import AddressMissing, AddressRefused

# Local parts that are taken as they are, and change nothing about what may follow the @.
_PLAIN = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*")
# Characters of an address, few enough to be within all limits but those of its domain.
_PLAIN_LENGTH = 60


@dataclass(frozen=True)
class Address:
    """An address as it is sent to, and the key by which it is compared."""

    address: str
    key: str

    @property
    def mailbox_key(self) -> str:
        """The key with plus-tags and dots folded away: for limits only, never for identity."""
        local, _, domain = self.key.rpartition("@")
        return f"{local.partition('+')[0].replace('.', '')}@{domain}"


def parse(text: str) -> Address:
    """Read one address. Raises AddressMissing or AddressRefused with the reason in words."""
    if not text.strip():
        raise AddressMissing
    if "\ufffd" in text:  # what a decoder leaves of bytes that are no text
        raise AddressRefused(reason="It holds characters that cannot be read.")
    try:
        address = _plain(text.strip(" ")) or _any(text.strip(" "))
    except EmailNotValidError as error:
        raise AddressRefused(reason=_sentence(str(error))) from None
    return Address(address, address.casefold())


def _plain(text: str) -> str | None:
    """Return what `_any` would of the most usual addresses, of whose domain it has been asked before."""
    local, _, domain = text.rpartition("@")
    if len(text) > _PLAIN_LENGTH or not text.isascii() or not _PLAIN.fullmatch(local):
        return None
    ascii_domain = _ascii_domain(domain)
    return f"{local}@{ascii_domain}" if ascii_domain else None


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str | None:
    try:
        return _validated(f"a@{domain}").ascii_domain
    except EmailNotValidError:
        return None


def _any(text: str) -> str:
    found = _validated(text)
    return found.ascii_email or f"{found.local_part}@{found.ascii_domain}"


def _validated(text: str) -> ValidatedEmail:
    return validate_email(text, check_deliverability=False, allow_smtputf8=True)


def mask(address: str) -> str:
    """Return the address with most of its local part hidden: `j…@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def _sentence(text: str) -> str:
    printable = re.sub(r"[^\x20-\x7e\u00a0-\uffff]", "?", text)
    return printable if printable.endswith(".") else f"{printable}."
