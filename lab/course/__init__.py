"""Exercises: their files, the learner's progress, and how they are started, checked and solved."""
