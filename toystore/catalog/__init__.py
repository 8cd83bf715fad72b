"""The catalog role: learners of the ledger that serve lookups, the change feed and the restock."""
