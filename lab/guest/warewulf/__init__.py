"""Provisioning that behaves as Warewulf 3 does, for the SMS."""
