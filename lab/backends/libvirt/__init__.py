"""libvirt as a backend: a domain is a node, an isolated network without host addresses is a wire."""
