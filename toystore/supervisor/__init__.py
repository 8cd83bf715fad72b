"""`toystore up`: a whole cluster of real processes on one machine.

launch says what to run, leash ties each process to its parent, child keeps one process as it should be,
cluster keeps them all, control lets other programs ask for changes, and lock lets only one of these run in a
data directory.
"""
