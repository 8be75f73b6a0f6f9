"""Links to one's own data, changes of address, reasons for leaving."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def _big_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('fresh_links',
    sa.Column('id', _big_id(), nullable=False),
    sa.Column('subscriber_id', _big_id(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['subscriber_id'], ['subscribers.id'], name=op.f('fk_fresh_links_subscriber_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fresh_links')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_fresh_links_subscriber', 'fresh_links', ['subscriber_id'])
    op.create_table('address_changes',
    sa.Column('id', _big_id(), nullable=False),
    sa.Column('subscriber_id', _big_id(), nullable=False),
    sa.Column('address', sa.String(length=254), nullable=False),
    sa.Column('address_hash', sa.String(length=64), nullable=False),
    sa.Column('former_address', sa.String(length=254), nullable=False),
    sa.Column('former_hash', sa.String(length=64), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('confirmed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['subscriber_id'], ['subscribers.id'], name=op.f('fk_address_changes_subscriber_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_address_changes')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_address_changes_subscriber', 'address_changes', ['subscriber_id'])
    op.create_table('leave_reasons',
    sa.Column('given_on', sa.Date(), nullable=False),
    sa.Column('reason', sa.String(length=20), nullable=False),
    sa.Column('people', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('given_on', 'reason', name=op.f('pk_leave_reasons'))
    )
    op.add_column('subscribers', sa.Column('moved_to_id', _big_id(), nullable=True))


def downgrade() -> None:
    op.drop_column('subscribers', 'moved_to_id')
    op.drop_table('leave_reasons')
    op.drop_index('ix_address_changes_subscriber', table_name='address_changes')
    op.drop_table('address_changes')
    op.drop_index('ix_fresh_links_subscriber', table_name='fresh_links')
    op.drop_table('fresh_links')
