"""Servers as most people would write them: what the claims are measured against."""
