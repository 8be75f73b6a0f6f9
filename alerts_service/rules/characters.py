"""Characters that a format of ours may not hold."""

import re

# What XML 1.0 (2.2) leaves out; calendar files (RFC 5545, 3.1) leave out no other.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def printable(text: str) -> str:
    """Return a text without the control characters and non-characters that XML cannot say."""
    return _NOT_IN_XML.sub("", text)
