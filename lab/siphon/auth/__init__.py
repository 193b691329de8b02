"""Credentials for a request, and the check of the credential in a reply."""
