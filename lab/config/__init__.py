"""Reads lab.toml and builds the specification of a cluster; reports every problem at once."""
