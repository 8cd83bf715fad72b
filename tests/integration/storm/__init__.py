"""Storms: many customers buy while the machines under the store are killed and paused; then every order is judged.

| module | what |
|---|---|
| `customers` | clients that send each request once, and write down what came of it |
| `blows` | what happens to the nodes meanwhile |
| `judge` | what must be true of the ledger afterwards, given what the customers were told (pure) |
| `disk` | disks that forget what was not synced, and disks that lie |
| `absence` | a replica that is away for longer than the log is kept |
| `trace` | what strace wrote, as calls with their times |
| `needs` | what a test needs of the machine |
| `storm` | one storm from start to end, with its report |
| `__main__` | the command: `python -m tests.integration.storm --help` |
"""
