"""The core alone under faults: `Node` and `Register` as they are, everything around them as light as it can be."""
