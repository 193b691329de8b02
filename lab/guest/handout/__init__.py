"""What turns a freshly made SMS into the head of one lab's cluster: run at each boot, changes only what differs."""
