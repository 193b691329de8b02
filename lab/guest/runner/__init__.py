"""The runner: builds images of nodes from commits that are pushed to it, and hands releases to the SMS."""
