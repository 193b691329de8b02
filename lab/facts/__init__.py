"""Facts: commands that a learner could type, each with a pure parser of its output."""
