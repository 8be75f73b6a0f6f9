"""The hash chain of consent records.

Each record of an address covers the one before it. Personal fields are covered only through a salted
digest that is kept beside them: when a person is erased the fields and the salt go, and the chain still
verifies (SHA-256 over canonical JSON).
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the one spelling of a value: sorted keys, no spaces, UTF-8."""
    return _encoder.encode(value).encode()


def personal_digest(salt: str, personal: Mapping[str, Any]) -> str:
    """Return the digest under which personal fields enter the chain."""
    return hashlib.sha256(salt.encode() + b"\0" + canonical(personal)).hexdigest()


def link_hash(
    *,
    previous: str,
    number: int,
    kind: str,
    at: datetime,
    wording: str | None,
    facts: Mapping[str, Any],
    digest: str,
) -> str:
    """Return the hash of one record over its fields and the hash of the record before it."""
    fields = {
        "previous": previous,
        "number": number,
        "kind": kind,
        "at": at.astimezone(UTC).isoformat(),
        "wording": wording,
        "facts": dict(facts),
        "personal": digest,
    }
    return hashlib.sha256(canonical(fields)).hexdigest()
