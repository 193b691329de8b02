"""A JupyterHub whose users' servers are slurm-jupyter containers: each with a token of its user, and no key.

Tried with JupyterHub 5.5.0 and DockerSpawner 14.0.0; README.md beside it says what else is needed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import slurm_hook

# ------------------------------------------------------------------------------------------ your site
IMAGE = "rackling/slurm-jupyter-trixie:current"
CONTROLLER = "slurmctld.example.org"
TOKEN_URL = "https://slurmctld.example.org:6821/v1/token/hub"
TOKEN_CA = "/etc/ssl/certs/ca-certificates.crt"
NETWORK = "jupyterhub"  # docker network create jupyterhub
HUB_IP = "172.18.0.1"  # this host's address in it, which servers reach: docker network inspect jupyterhub
HOMES = {"/home/{username}": "/home/{username}"}  # the cluster's, which the nodes mount, too
TOKENS = "/run/jupyterhub-slurm"  # made by the Hub, for the Hub alone
MEMORY = "1G"
# -----------------------------------------------------------------------------------------------------

c = get_config()  # noqa: F821 - the Hub defines it

c.JupyterHub.spawner_class = "docker"
c.JupyterHub.hub_ip = HUB_IP

c.DockerSpawner.image = IMAGE
c.DockerSpawner.cmd = ["jupyterhub-singleuser"]  # it insists on one; the image's first process knows itself
c.DockerSpawner.pull_policy = "never"
c.DockerSpawner.network_name = NETWORK
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.volumes = HOMES

c.Spawner.default_url = "/lab"
c.Spawner.mem_limit = MEMORY
c.Spawner.environment = {
    "SLURM_CONTROLLER": CONTROLLER,
    "SLURM_TOKEN_URL": TOKEN_URL,  # the server renews its token itself, with the Hub's token that it has
}
c.Spawner.pre_spawn_hook = slurm_hook.for_docker(TOKEN_URL, TOKENS, TOKEN_CA)
