"""Facts: a command that a learner could type, and a pure parser of what it prints."""
