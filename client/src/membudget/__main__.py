"""`python -m membudget` is the `membudget` command."""

from membudget.commands.app import main

if __name__ == "__main__":
    main()
