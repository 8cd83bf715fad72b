"""HTTP between nodes, and what every site of ours shares."""
