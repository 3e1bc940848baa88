"""Give what the client can do as commands: `membudget`, and those of the originals."""
