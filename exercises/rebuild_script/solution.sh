# CPLX-2: a script that builds the nodes from data and can be run any number of times.

#: step data on sms as user1
cd ~/rebuild_script
cat >nodes.csv <<'END'
hostname,device,cidr,mac
c1,eth0,$C1_IP/$INTERNAL_PREFIX,$C1_MAC
c2,eth0,$C2_IP/$INTERNAL_PREFIX,$C2_MAC
g1,eth0,$G1_IP/$INTERNAL_PREFIX,$G1_MAC
g2,eth0,$G2_IP/$INTERNAL_PREFIX,$G2_MAC
END

#: step run on sms as user1
#: expect-fail
sudo ./rebuild.py
cat >rebuild.py <<'END'
#!/usr/bin/env python3
"""Sets up Warewulf's nodes as nodes.csv says, whatever the database contained before."""

import csv
import ipaddress
import os
import shlex
import subprocess
import sys

VNFS = "debian13"
NODE_FILES = "dynamic_hosts,passwd,group,shadow,munge.key,network"
NODE_KARGS = "net.ifnames=0 biosdevname=0 quiet"


def wwsh(*arguments):
    """Runs wwsh without questions; exits if wwsh reports an error."""
    print("wwsh", shlex.join(arguments))
    done = subprocess.run(["wwsh", "-y", *arguments], capture_output=True, text=True)
    if "ERROR" in done.stdout + done.stderr:
        sys.exit(done.stdout + done.stderr)
    return done.stdout


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(folder, "nodes.csv")) as table:
        nodes = list(csv.DictReader(table))
    known = wwsh("node", "list", "-1").split()
    for node in nodes:
        interface = ipaddress.ip_interface(node["cidr"])
        wwsh(
            "node",
            "set" if node["hostname"] in known else "new",
            node["hostname"],
            f"--netdev={node['device']}",
            f"--ipaddr={interface.ip}",
            f"--netmask={interface.netmask}",
            f"--hwaddr={node['mac']}",
        )
        wwsh(
            "provision",
            "set",
            node["hostname"],
            f"--vnfs={VNFS}",
            f"--bootstrap={os.uname().release}",
            f"--files={NODE_FILES}",
            f"--kargs={NODE_KARGS}",
        )


if __name__ == "__main__":
    main()
END
chmod +x rebuild.py
sudo ./rebuild.py

#: step twice on sms as user1
(wwsh node print; wwsh provision print) | grep = | grep -v ' ID ' >~/before.txt
sudo ./rebuild.py
(wwsh node print; wwsh provision print) | grep = | grep -v ' ID ' >~/after.txt
diff ~/before.txt ~/after.txt

#: step rebuild on sms as user1
sudo wwsh -y node delete 'c*' 'g*'
sudo ./rebuild.py
(wwsh node print; wwsh provision print) | grep = | grep -v ' ID ' >~/after.txt
diff ~/before.txt ~/after.txt
sudo wwsh -y node set c1 --netdev=eth0 --netmask=255.255.255.252
sudo wwsh -y provision set c1 --files=passwd
sudo ./rebuild.py
(wwsh node print; wwsh provision print) | grep = | grep -v ' ID ' >~/after.txt
diff ~/before.txt ~/after.txt
