"""The commands of `toystore`, one file each; `toystore/cli.py` puts them together."""
