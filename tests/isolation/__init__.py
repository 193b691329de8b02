"""What root in a node cannot reach: its chassis, its host, and other labs."""
