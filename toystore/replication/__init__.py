"""The loop that saves, sends and applies, and how messages travel."""
