"""Do: one use case a module, gather, decide, record."""
