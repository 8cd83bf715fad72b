"""Torture: a real cluster in network namespaces, hit at random from a seed while customers buy, and judged.

| module | what |
|---|---|
| `kinds` | the kinds of faults there are (pure) |
| `planner` | which fault comes when, from a seed (pure) |
| `weather` | what the network does to a packet between two members (pure) |
| `switch` | the network: a process that forwards the packets of all members as the weather is |
| `layout` | the members of a run with their namespaces and addresses, and the config of their cluster (pure) |
| `ground` | namespaces and file systems, made and removed |
| `shims` | a library preloaded into the nodes: slow syncs, jumps of the clock |
| `nodes` | the processes of the nodes |
| `stage` | what a fault acts on, and what it must not share with another |
| `blows`, `network`, `disks` | the faults themselves: of processes, of the network, of disks and clocks |
| `customers` | clients that do one thing after another, and write down what came of it |
| `ordeal` | a run: bursts of faults, each followed by a calm in which the store must recover |
| `verdict` | what the ledger holds at the end, what is wrong with it, and the report |
"""
