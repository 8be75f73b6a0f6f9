"""Which Message-IDs came back to the queue after they were noted: kept on disk, as nobody knows how many they are."""

import sqlite3
from collections.abc import Iterable


class Returned:
    """A set of Message-IDs in a temporary file of its own."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE returned (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._empty = True

    def add(self, ids: Iterable[str]) -> None:
        """Put some in."""
        self._file.executemany("INSERT OR IGNORE INTO returned VALUES (?)", ((each,) for each in ids))
        self._empty = False

    def discard(self, ids: Iterable[str]) -> None:
        """Take some out: they were noted again."""
        if not self._empty:
            self._file.executemany("DELETE FROM returned WHERE id = ?", ((each,) for each in ids))

    def holds(self, each: str) -> bool:
        """Say whether one is in."""
        if self._empty:
            return False
        return self._file.execute("SELECT 1 FROM returned WHERE id = ?", (each,)).fetchone() is not None

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
