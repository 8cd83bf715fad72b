"""Whether a recorded history kept the promises: what clients asked and were told, held against what the ledger has."""
