"""Sets up a new SMS as the head node of a lab's cluster. Runs at each boot and changes only what differs."""
