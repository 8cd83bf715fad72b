"""Customers to try a store with: they look, sometimes buy, remember what they were promised, and check it at
the end."""
