"""nodeimage: takes a node's image from packages and a commit to a signed release that a link activates."""
