"""When a sign-up was reminded of, and an index of those that wait."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

_WAITING = sa.text("confirmed_at IS NULL")


def upgrade() -> None:
    op.add_column('sign_ups', sa.Column('reminded_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        'ix_sign_ups_waiting', 'sign_ups', ['expires_at'], sqlite_where=_WAITING, postgresql_where=_WAITING
    )


def downgrade() -> None:
    op.drop_index('ix_sign_ups_waiting', table_name='sign_ups')
    op.drop_column('sign_ups', 'reminded_at')
