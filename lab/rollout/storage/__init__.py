"""The state directory: what a rollout remembers, the operator's last word, and the lock."""
