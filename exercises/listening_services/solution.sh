# SEC-1: list what listens on the login node, and reduce it to ssh in the VNFS.

#: step look on sms as user1
sudo ssh login netstat -utlp | grep -v localhost
sudo ssh login netstat -utlp | grep -v localhost > ~/listening.txt
cat ~/listening.txt

#: step image on sms as user1
sudo chroot ${CHROOT} systemctl disable rpcbind.socket rpcbind.service
sudo wwvnfs --chroot=${CHROOT}

#: step boot on sms as user1
#: may-fail
sudo ssh login reboot
#: wait sudo ssh -o BatchMode=yes -o ConnectTimeout=2 login '! systemctl is-active rpcbind.socket && systemctl is-system-running --wait' within 180
sudo ssh login netstat -utlp | grep -v localhost
df -h /home
sudo ssh login df -h /home
