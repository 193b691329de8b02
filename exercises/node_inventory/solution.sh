# CPLX-1: the provisioning database as text, and the one node that differs from the others.

#: step write on sms as user1
(wwsh node print; wwsh provision print) | grep = >~/inventory.txt
wc -l ~/inventory.txt

#: step mend on sms as user1
cut -d: -f2- ~/inventory.txt | sort | uniq -c | sort -n
sudo wwsh -y node set c2 --netdev=eth0 --netmask=$INTERNAL_NETMASK
sudo wwsh -y provision set c2 --fileadd=group
sudo wwsh -y provision set c2 --kargs="net.ifnames=0 biosdevname=0 quiet"

#: step again on sms as user1
mv ~/inventory.txt ~/inventory.before
(wwsh node print; wwsh provision print) | grep = >~/inventory.txt
# diff exits with status 1 if it finds a difference.
#: expect-fail
diff ~/inventory.before ~/inventory.txt
