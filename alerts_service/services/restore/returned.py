"""What the journal says last of many Message-IDs: kept on disk, as nobody knows how many they are."""

import sqlite3
from collections.abc import Iterable, Iterator


class Returned:
    """The Message-IDs that came back to the queue after they were noted, in a temporary file of its own.

    Beside them stand suspects: deliveries of which the database cannot say whether they are with a sender.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("CREATE TABLE returned (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._file.execute("CREATE TABLE suspects (id TEXT PRIMARY KEY, delivery INTEGER, noted INTEGER) WITHOUT ROWID")
        self._empty = True
        self.suspects = 0

    def suspect(self, ids: Iterable[tuple[str, int]]) -> None:
        """Ask about deliveries, each by Message-ID and number."""
        before = self._file.total_changes
        self._file.executemany("INSERT OR IGNORE INTO suspects VALUES (?, ?, 0)", ids)
        self.suspects += self._file.total_changes - before

    def add(self, ids: Iterable[str]) -> None:
        """Put some in: they came back."""
        found = [(each,) for each in ids]
        self._file.executemany("INSERT OR IGNORE INTO returned VALUES (?)", found)
        self._file.executemany("UPDATE suspects SET noted = 0 WHERE id = ?", found if self.suspects else ())
        self._empty = False

    def discard(self, ids: Iterable[str]) -> None:
        """Take some out: they were noted, for the first time or again."""
        if self._empty and not self.suspects:
            return
        found = [(each,) for each in ids]
        self._file.executemany("DELETE FROM returned WHERE id = ?", found)
        self._file.executemany("UPDATE suspects SET noted = 1 WHERE id = ?", found if self.suspects else ())

    def holds(self, each: str) -> bool:
        """Say whether one is in."""
        if self._empty:
            return False
        return self._file.execute("SELECT 1 FROM returned WHERE id = ?", (each,)).fetchone() is not None

    def guilty(self) -> Iterator[int]:
        """Yield the suspects that were noted and did not come back."""
        yield from (row[0] for row in self._file.execute("SELECT delivery FROM suspects WHERE noted"))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
