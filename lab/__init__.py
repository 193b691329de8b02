"""Rackling: a small rack on one computer, and the teaching lab that runs on it."""
