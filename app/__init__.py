"""membudget: budgets, allocations and their books for fleets of AI agents."""

__version__ = "0.1.0"
