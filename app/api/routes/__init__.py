"""Map paths to flows."""
