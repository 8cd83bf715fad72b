"""The view protocol (design 3.1, "appointed") as a model small enough to search through every state of it.

| file | what |
|---|---|
| `state.py` | what register, replicas and wires hold |
| `rules.py` | the protocol: a method for each rule, the rest of the program knows no rule |
| `actions.py` | what may happen next, within bounds |
| `reduction.py` | what need not be told apart, and why |
| `invariants.py`, `witnesses.py` | what must never be seen, and what must be seen |
| `mutants.py` | the protocol with one rule weakened: the search must find what breaks |
| `search.py`, `__main__.py` | the search: `python -m tests.model --help` |
| `trace.py` | do these events follow the rules? For what the real core did |
"""
