"""The index by which a surge of sign-ups is seen."""

from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sign_ups_requested", "sign_ups", ["requested_at"])


def downgrade() -> None:
    op.drop_index("ix_sign_ups_requested", table_name="sign_ups")
