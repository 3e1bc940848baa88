"""Answer: HTTP in, one flow, HTTP out."""
