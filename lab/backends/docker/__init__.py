"""The Docker backend: each container is a chassis, and one switch container holds a lab's networks."""
