"""The order role: voting replicas of the ledger, of which one leads."""
