"""The exchange with the controllers: which ones, in which version, and what their answers mean."""
