"""One module a migration; what has been released is never edited."""
