"""The Python client of membudget: ask for a budget, load, finish, learn what to ask for next."""

__version__ = "0.1.0"
__all__ = ["__version__"]
