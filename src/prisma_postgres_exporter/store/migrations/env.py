"""Alembic's entry: run the migrations on the connection, and in the transaction, of the caller."""

from alembic import context

from prisma_postgres_exporter.store.migrate import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    # Alembic takes SQLite's tables to be outside of transactions; they are not, once BEGIN is ours.
    transactional_ddl=True,
)
context.run_migrations()
