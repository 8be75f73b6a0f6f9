"""What stands where an address stood: a name that no mail can go to (RFC 2606, 2), one for each row."""

_DOMAIN = "erased.invalid"


def placeholder(row_id: int) -> str:
    """Return what takes the place of an address, of its key and of its hash."""
    return f"{row_id}@{_DOMAIN}"
