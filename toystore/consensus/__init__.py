"""The consensus core: Raft as a deterministic object, without clocks, sockets or disks.

Diego Ongaro and John Ousterhout, "In Search of an Understandable Consensus Algorithm" (2014), cited as Raft; Ongaro's
thesis "Consensus: Bridging Theory and Practice" (2014), cited as thesis.
"""
