"""Bytes to values and back: messages, credentials and hashes. Pure: nothing here touches the outside."""
