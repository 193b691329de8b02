"""Docker as a backend: a container is a chassis, one switch container holds a lab's networks."""
