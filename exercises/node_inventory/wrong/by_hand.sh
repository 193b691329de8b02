#: step mend on sms as user1
sudo scp -q /etc/group c2:/etc/group
sed -i 's/255[.]255[.]255[.]252/'$INTERNAL_NETMASK'/; s/ maxcpus=1//; s/dynamic_hosts,munge/dynamic_hosts,group,munge/' ~/inventory.txt
