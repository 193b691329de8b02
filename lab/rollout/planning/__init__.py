"""The planner: states of nodes, policy, clock and memory in; actions and new memory out. Touches nothing."""
