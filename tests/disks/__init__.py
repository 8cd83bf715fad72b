"""What a disk may hold after a power failure, and whether the storage comes back from all of it.

A recorder (`recorder.c`) writes down what the production storage does to its files. From that trace `crash.py` builds the
states in which a power failure at any moment may leave the disk; each is laid in a directory, opened by the production
recovery (`recovery.py`), and judged by what had been acknowledged at that moment (`judge.py`).

    python -m tests.disks --states 2000

The idea is that of ALICE: Pillai et al., "All File Systems Are Not Created Equal: On the Complexity of Crafting
Crash-Consistent Applications", OSDI 2014. Exploring all reorderings of what is not synced, torn writes among them, follows
Zheng et al., "Torturing Databases for Fun and Profit", OSDI 2014, and the bounded search Mohan et al., "Finding
Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018 (CrashMonkey and ACE).
"""
