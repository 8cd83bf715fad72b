"""Crashes and returns, played on a cluster of real processes and judged step by step (rows X1 to X9 of
docs/behaviours.rst).

scripts holds the nine drills, as data; nodes, customers, files and closing are the steps that they are made of; scene
is what a step acts on; play goes through the steps in order; cluster is a real cluster as a scene needs it.
"""
