"""The front end: no ledger of its own, a cache that follows the ledger, and the dialects that customers
speak."""
