#!/usr/bin/env python3
"""Creates Warewulf's nodes from nodes.csv. Written late in the evening, before a talk; never run."""

import csv
import os
import subprocess

VNFS = "debian13"
NODE_FILES = "dynamic_hosts,passwd,group,shadow,munge.key,network"
NODE_KARGS = "net.ifnames=0 biosdevname=0 quiet"


def wwsh(arguments):
    """Runs wwsh without questions."""
    subprocess.run("wwsh -y " + arguments, shell=True)


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "nodes.csv")) as table:
        nodes = list(csv.DictReader(table))
    bootstrap = os.uname().release
    for node in nodes:
        interface = ipaddress.ip_interface(node["cidr"])
        wwsh(
            f"node new {node.hostname}"
            f"--netdev={node['device']} --ipaddr={interface.ip}"
            f"--netmask={interface.netmask} --hwaddr={node['mac']}"
        )
        wwsh(
            f"provision set {node['hostname']} --vnfs={VNFS}"
            f"--bootstrap={bootstrap} --files={FILES}"
            f"--kargs={NODE_KARGS}"
        )


if __name__ == "__main__":
    main()
