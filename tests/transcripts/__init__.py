"""Transcripts of the dialects: what a customer types and what comes back, run again against real clusters.

`python -m tests.transcripts [DIALECT]...` runs the lines of `docs/transcripts/<dialect>.txt` and writes down anew what they
print, to be read as a diff; a test compares.
"""
