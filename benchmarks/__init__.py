"""How fast the store is, and beside what; benchmarks/README.rst says how to run it."""
