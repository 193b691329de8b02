"""Writes the generated parts of docs/: the commands from their help, the keys of lab.toml from its schema."""
