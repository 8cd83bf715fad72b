"""Become another program that dies with its parent: `python -I -S leash.py PARENT COMMAND...`.

A supervisor that is killed outright (SIGKILL, out of memory) can not stop its processes, so the kernel is
asked to (prctl(2), PR_SET_PDEATHSIG): when the parent ends, this process gets SIGKILL, even while it is
stopped. The request survives exec but not fork, so a command that runs under a prefix such as strace has a
leash on either side: one from the supervisor to the prefix, one from the prefix to the node.

PARENT is the process id of the supervisor: the process then also leads a process group of its own, so that a
Ctrl-C at the terminal reaches the supervisor alone and a signal to the group reaches prefix and node. PARENT
0 (the inner leash) means whoever the parent is. Needs nothing but the standard library, and is run by path.
Where there is no prctl (not Linux) the command runs without a leash.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Does not return: the process becomes the command, or ends with 127 where that can not be run."""
    parent, command = int(arguments[0]), arguments[1:]
    if parent:
        os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit("the supervisor is gone")  # it ended before the leash was on
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"can not run {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
