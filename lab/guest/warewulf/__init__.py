"""Provisioning programs for the SMS that behave as Warewulf 3's do."""
