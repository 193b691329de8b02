"""From lab.toml to a cluster specification: defaults, then every problem at once."""
