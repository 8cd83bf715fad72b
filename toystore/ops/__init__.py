"""What the people who run a store meet: its configuration, its first catalog, its logs."""
