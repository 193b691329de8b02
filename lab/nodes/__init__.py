"""Talking to one node: its client, its shells, the terminal under them."""
