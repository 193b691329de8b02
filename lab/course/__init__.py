"""Exercises: their files, a learner's progress, starting, checking and solving them."""
