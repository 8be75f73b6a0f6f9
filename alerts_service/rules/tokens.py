"""Tokens and keyed identifiers: what links, Message-IDs and suppressions are made of.

Two keys. The secret keys rotate: a list, the first signs, all verify; they make links that expire, and the
time at which a form was shown. The permanent key never rotates: it makes unsubscribe links and hashes, which
must outlive everything. Each purpose has a key of its own, derived by HMAC, so that no token can be used for
another purpose.

Tokens that are spliced into bulk mail are fixed-length base64url of a packed id and the first 128 bits of
an HMAC-SHA-256 (RFC 2104). What stands in addresses and Message-IDs is hexadecimal, which survives whoever
changes its case. Links in single mails are itsdangerous's signed values.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from alerts_service.errors import LinkAltered, LinkExpired

LINK_LIFETIME = timedelta(days=7)
UNDO_LIFETIME = timedelta(days=28)
# Of a link to one's own data.
FRESH_FOR = timedelta(hours=1)
_MAC_BYTES = 16
_SUBSCRIBER_BYTES = 5
_DIGEST_BYTES = 6
_DAY_BYTES = 3
_DELIVERY_BYTES = 6
_BOUNCE_MAC_BYTES = 12
_BOUNCE_SENDER = re.compile(
    rf"bounce-([0-9a-f]{{{2 * (_DELIVERY_BYTES + _BOUNCE_MAC_BYTES)}}})@[a-z0-9.-]+", re.ASCII | re.I
)
_MESSAGE_ID_BYTES = 16
_MOMENT_BYTES = 8
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# RFC 2104: the key fills one block of the hash.
_BLOCK_BYTES = 64
# What itsdangerous writes; it would also read other spellings of the same signature.
_SIGNED = re.compile(r"[\w-]+\.[\w-]+\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)


class _Signer(TimestampSigner):
    """A signer whose clock is given: time is an argument here too."""

    def __init__(self, *args: object, now: datetime, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._now = int(now.timestamp())

    def get_timestamp(self) -> int:
        return self._now


def _serializer(keys: Sequence[str], purpose: str, now: datetime) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        list(reversed(keys)),  # itsdangerous signs with the last key; our settings put the signing key first
        salt=f"alerts.{purpose}",
        signer=_Signer,
        signer_kwargs={"now": now, "digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _read_signed(keys: Sequence[str], purpose: str, token: str, now: datetime) -> int:
    return _read_dated(keys, purpose, token, now, LINK_LIFETIME)[0]


def _read_dated(
    keys: Sequence[str], purpose: str, token: str, now: datetime, lifetime: timedelta | None
) -> tuple[int, datetime]:
    """Return the value, and when it was signed, to the second."""
    if not _SIGNED.fullmatch(token):
        raise LinkAltered
    most = int(lifetime.total_seconds()) if lifetime else None
    try:
        value, signed_at = _serializer(keys, purpose, now).loads(token, max_age=most, return_timestamp=True)
    except SignatureExpired:
        raise LinkExpired from None
    except BadSignature:
        raise LinkAltered from None
    if not isinstance(value, int):
        raise LinkAltered
    return value, signed_at


def confirm_token(keys: Sequence[str], sign_up_id: int, now: datetime) -> str:
    """Return the token of a confirmation link, valid for LINK_LIFETIME."""
    return str(_serializer(keys, "confirm", now).dumps(sign_up_id))


def read_confirm(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the sign-up's id. Raises LinkAltered or LinkExpired."""
    return _read_signed(keys, "confirm", token, now)


def read_old_confirm(keys: Sequence[str], token: str) -> int:
    """Return the sign-up's id of a link however old: it confirms nothing any more. Raises LinkAltered."""
    return _read_dated(keys, "confirm", token, datetime.min.replace(tzinfo=UTC), lifetime=None)[0]


def not_me_token(keys: Sequence[str], sign_up_id: int, now: datetime) -> str:
    """Return the token of a “this was not me” link, valid for LINK_LIFETIME."""
    return str(_serializer(keys, "not-me", now).dumps(sign_up_id))


def read_not_me(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the sign-up's id. Raises LinkAltered or LinkExpired."""
    return _read_signed(keys, "not-me", token, now)


def undo_token(keys: Sequence[str], subscriber_id: int, ended_at: datetime) -> str:
    """Return the token of the link that undoes a person's end. It names the end by its second, and is valid from then
    on for UNDO_LIFETIME, whenever it is made."""
    return str(_serializer(keys, "undo", ended_at).dumps(subscriber_id))


def read_undo(keys: Sequence[str], token: str, now: datetime) -> tuple[int, datetime]:
    """Return the subscriber's id and the second of the end. Raises LinkAltered or LinkExpired."""
    return _read_dated(keys, "undo", token, now, UNDO_LIFETIME)


def own_data_token(keys: Sequence[str], link_id: int, now: datetime) -> str:
    """Return the token of a link to one's own data, valid for FRESH_FOR; the database says whether it was used."""
    return str(_serializer(keys, "own-data", now).dumps(link_id))


def read_own_data(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the fresh link's id. Raises LinkAltered or LinkExpired."""
    return _read_dated(keys, "own-data", token, now, FRESH_FOR)[0]


def new_address_token(keys: Sequence[str], change_id: int, now: datetime) -> str:
    """Return the token by which a new address confirms a change, valid for LINK_LIFETIME."""
    return str(_serializer(keys, "new-address", now).dumps(change_id))


def read_new_address(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the change's id. Raises LinkAltered or LinkExpired."""
    return _read_signed(keys, "new-address", token, now)


def former_address_token(keys: Sequence[str], change_id: int, now: datetime) -> str:
    """Return the token by which the former address undoes a change, valid for LINK_LIFETIME."""
    return str(_serializer(keys, "former-address", now).dumps(change_id))


def read_former_address(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the change's id. Raises LinkAltered or LinkExpired."""
    return _read_signed(keys, "former-address", token, now)


def preferences_token(key: str, subscriber_id: int, now: datetime) -> str:
    """Return the 32-character token of a preferences link; it expires LINK_LIFETIME after `now`'s day."""
    packed = subscriber_id.to_bytes(_SUBSCRIBER_BYTES, "big") + _packed_day(now)
    return _sealed(key, "preferences", packed)


@lru_cache(maxsize=8)
def _packed_day(now: datetime) -> bytes:
    """The tokens of a batch are made at one moment."""
    return now.astimezone(UTC).toordinal().to_bytes(_DAY_BYTES, "big")


def read_preferences(keys: Sequence[str], token: str, now: datetime) -> int:
    """Return the subscriber's id. Raises LinkAltered or LinkExpired."""
    packed = _opened(keys, "preferences", token, _SUBSCRIBER_BYTES + _DAY_BYTES)
    made_on = date.fromordinal(int.from_bytes(packed[_SUBSCRIBER_BYTES:], "big"))
    if now.astimezone(UTC).date() - made_on > LINK_LIFETIME:
        raise LinkExpired
    return int.from_bytes(packed[:_SUBSCRIBER_BYTES], "big")


def form_time(keys: Sequence[str], now: datetime) -> str:
    """Return the 32-character token that says when a form was shown, to the millisecond."""
    return _sealed(keys[0], "form-time", ((now - _EPOCH) // _MILLISECOND).to_bytes(_MOMENT_BYTES, "big"))


def read_form_time(keys: Sequence[str], token: str, now: datetime) -> timedelta:
    """Return how long ago a form was shown; less than nothing where clocks differ. Raises LinkAltered."""
    packed = _opened(keys, "form-time", token, _MOMENT_BYTES)
    return now - _EPOCH - int.from_bytes(packed, "big") * _MILLISECOND


def unsubscribe_token(permanent_key: str, subscriber_id: int, digest_id: int = 0) -> str:
    """Return the 36-character token of an unsubscribe link. It never expires. Digest 0: no digest."""
    packed = subscriber_id.to_bytes(_SUBSCRIBER_BYTES, "big") + digest_id.to_bytes(_DIGEST_BYTES, "big")
    return _sealed(permanent_key, "unsubscribe", packed)


def read_unsubscribe(permanent_key: str, token: str) -> tuple[int, int]:
    """Return the subscriber's id and the digest's. Raises LinkAltered."""
    packed = _opened([permanent_key], "unsubscribe", token, _SUBSCRIBER_BYTES + _DIGEST_BYTES)
    subscriber, digest = packed[:_SUBSCRIBER_BYTES], packed[_SUBSCRIBER_BYTES:]
    return int.from_bytes(subscriber, "big"), int.from_bytes(digest, "big")


def digest_token(permanent_key: str, digest_id: int) -> str:
    """Return the token of “view in browser”: per content, the same for all its readers."""
    return _sealed(permanent_key, "digest", digest_id.to_bytes(8, "big"))


def read_digest(permanent_key: str, token: str) -> int:
    """Return the digest's id. Raises LinkAltered."""
    return int.from_bytes(_opened([permanent_key], "digest", token, 8), "big")


def message_id(permanent_key: str, domain: str, *parts: object) -> str:
    """Return a Message-ID without its angle brackets (RFC 5322, 3.6.4): the same for the same parts, always."""
    mac = _mac(permanent_key, "message-id", "\0".join(map(str, parts)).encode())
    return f"{mac[:_MESSAGE_ID_BYTES].hex()}@{domain}"


def bounce_sender(permanent_key: str, delivery_id: int, domain: str) -> str:
    """Return the envelope sender of a delivery (RFC 5321, 4.5.5): a bounce that comes to it names the delivery.

    Its local part has 43 octets of the 64 allowed, and says the same in upper and in lower case.
    """
    packed = delivery_id.to_bytes(_DELIVERY_BYTES, "big")
    mac = _mac(permanent_key, "bounce", packed)[:_BOUNCE_MAC_BYTES]
    return f"bounce-{packed.hex()}{mac.hex()}@{domain}"


def read_bounce(permanent_key: str, address: str) -> int:
    """Return the id of the delivery whose envelope sender this is, at whatever domain. Raises LinkAltered."""
    found = _BOUNCE_SENDER.fullmatch(address)
    raw = bytes.fromhex(found[1]) if found else b""
    packed, mac = raw[:_DELIVERY_BYTES], raw[_DELIVERY_BYTES:]
    if not hmac.compare_digest(mac, _mac(permanent_key, "bounce", packed)[:_BOUNCE_MAC_BYTES]):
        raise LinkAltered
    return int.from_bytes(packed, "big")


def address_hash(permanent_key: str, address_key: str) -> str:
    """Return the keyed hash under which an address is known when the address itself must not be kept."""
    return _mac(permanent_key, "address", address_key.encode()).hex()


def fingerprint(permanent_key: str) -> str:
    """Return what the database keeps of the permanent key, to refuse a start with another."""
    return _mac(permanent_key, "fingerprint", b"").hex()[:32]


def derived(key: str, purpose: str) -> bytes:
    """Return the key of a purpose, 32 bytes."""
    return hmac.digest(key.encode(), b"alerts\0" + purpose.encode(), "sha256")


def _mac(key: str, purpose: str, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message: hmac.digest's, in half of its time, as the key is hashed once."""
    begun, to_end = _keyed(key, purpose)
    inner, outer = begun.copy(), to_end.copy()
    inner.update(message)
    outer.update(inner.digest())
    return outer.digest()


# What makes base64 into base64url (RFC 4648, 5).
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@lru_cache(maxsize=64)
def _keyed(key: str, purpose: str) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """Derive the key of a purpose; return the two hashes of RFC 2104 that begin with it."""
    block = derived(key, purpose).ljust(_BLOCK_BYTES, b"\0")
    return tuple(hashlib.sha256(bytes(octet ^ pad for octet in block)) for pad in (0x36, 0x5C))  # type: ignore[return-value]  # two


def _sealed(key: str, purpose: str, packed: bytes) -> str:
    raw = packed + _mac(key, purpose, packed)[:_MAC_BYTES]
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).decode("ascii")


def _opened(keys: Sequence[str], purpose: str, token: str, length: int) -> bytes:
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise LinkAltered from None
    packed, mac = raw[:length], raw[length:]
    # Compare the whole text, too: two spellings of one value would be two tokens.
    for key in keys:
        if hmac.compare_digest(mac, _mac(key, purpose, packed)[:_MAC_BYTES]) and _sealed(key, purpose, packed) == token:
            return packed
    raise LinkAltered
