"""Makes a replica note in the trace what it asks of its storage, and when that is done.

Python imports this module at its start where its directory is on PYTHONPATH; nothing is done in processes that are no
order replica.
"""

import sys

if any(word == "toystore-order" for word in sys.orig_argv):
    from tests.disks.calls import NotedStorage, Noting
    from toystore.storage import sqlite

    Real = sqlite.SqliteStorage
    sqlite.SqliteStorage = lambda *arguments: NotedStorage(Real(*arguments), Noting())
