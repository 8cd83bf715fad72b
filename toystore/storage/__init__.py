"""Where a replica keeps its log and its ledger."""
