"""The store's migrations, run by `store.migrate`; a new one goes to `versions` and into `migrate.HEAD`."""
