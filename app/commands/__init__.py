"""What `membudget-server` does beside the service: one module per kind of command."""
