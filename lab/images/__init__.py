"""Builds the images from which backends start nodes."""
