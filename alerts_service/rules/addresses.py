"""E-mail addresses: read, compare, fold, mask.

Syntax is email-validator's (RFC 5321, 5322, 6531); no look-up is made. An address is stored as it is sent:
the domain in ASCII (A-labels), the local part as given. Comparison is by the casefolded form.
"""

import re
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from alerts_service.errors import AddressMissing, AddressRefused


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
        found = validate_email(text.strip(" "), check_deliverability=False, allow_smtputf8=True)
    except EmailNotValidError as error:
        raise AddressRefused(reason=_sentence(str(error))) from None
    address = found.ascii_email or f"{found.local_part}@{found.ascii_domain}"
    return Address(address, address.casefold())


def mask(address: str) -> str:
    """Return the address with most of its local part hidden: `j…@example.org`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def _sentence(text: str) -> str:
    printable = re.sub(r"[^\x20-\x7e\u00a0-\uffff]", "?", text)
    return printable if printable.endswith(".") else f"{printable}."
