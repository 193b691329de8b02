"""The target directory: puts a set of files there, all or nothing."""
