"""Say what requests look like."""
