"""`python -m toystore` is the `toystore` command."""

from toystore.cli import main

main(prog_name="toystore")
