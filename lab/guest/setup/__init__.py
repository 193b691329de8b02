"""Turns a freshly made SMS into the head of a lab's cluster: run at each boot, changes what differs."""
