"""Faults put into the program on purpose: the simulator must find each of them. `python -m tests.mutants` tells how soon."""
