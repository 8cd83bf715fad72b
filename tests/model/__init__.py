"""The view protocol (design 3.1, "appointed") as a model small enough to search through every state of it.

| file | what |
|---|---|
| `state.py` | what register, replicas and wires hold |
| `rules.py` | the protocol: a method for each rule; nothing else here knows one |
| `actions.py` | what may happen next, within bounds |
| `reduction.py`, `renumbering.py` | what need not be told apart, and why |
| `invariants.py`, `witnesses.py` | what must never be seen, and what must be seen |
| `mutants.py` | the protocol with one rule weakened: the search must find what breaks |
| `search.py`, `__main__.py` | the search: `python -m tests.model --epochs 3 --entries 2`, or `--mutant JoinsBehind` |
| `trace.py` | do these events follow the rules? |
| `watched.py`, `trouble.py` | the real core in random trouble, told as such events: `python -m tests.model.trouble 17` |
| `test_findings.py` | what all this found in the core, as scenarios |

Three replicas, three epochs, two commands, any number of drops, joins, hand-overs and crashes, every view, Ask and Append
late, repeated or lost: 1,203,140 states, 6,837,705 transitions, depth 32, about twelve minutes.
"""
