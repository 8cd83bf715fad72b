"""Measuring a store as its ancestors were measured: latency by the share of orders, with and without the cache, what the
cache holds over time, and what customers notice of a failover (rows B5 to B7, K7, K8)."""
