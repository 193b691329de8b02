"""The learner's page: one lab in a browser, on this host's loopback (the extra rackling[class])."""
