"""toystore: a store back end that does not lose an order."""

__version__ = "0.1.0"
