"""Reminders of events: editions that have a cause, and the ways to find events and follow-ups."""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def _partial_index(name: str, table: str, columns: list[str], rows: str, *, unique: bool = False) -> None:
    condition = sa.text(rows)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    # Both databases take a constraint with its column, and neither has to copy the table.
    op.execute(
        "ALTER TABLE editions ADD COLUMN cause_id INTEGER CONSTRAINT fk_editions_cause_id REFERENCES updates (id)"
    )
    _partial_index("uq_editions_cause", "editions", ["frequency", "cause_id"], "cause_id IS NOT NULL", unique=True)
    _partial_index("ix_updates_starts", "updates", ["starts_at"], "starts_at IS NOT NULL")
    _partial_index("ix_updates_follow_up", "updates", ["follow_up_of_id"], "follow_up_of_id IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_updates_follow_up", table_name="updates")
    op.drop_index("ix_updates_starts", table_name="updates")
    op.drop_index("uq_editions_cause", table_name="editions")
    op.drop_column("editions", "cause_id")
