#: step data on sms as user1
cd ~/rebuild_script
for line in c1,eth0,$C1_IP/16,$C1_MAC c2,eth0,$C2_IP/16,$C2_MAC g1,eth0,$G1_IP/16,$G1_MAC g2,eth0,$G2_IP/16,$G2_MAC; do echo $line >>nodes.csv; done
#: step run on sms as user1
sed -i "s/^import csv/import csv\nimport ipaddress/; s/{node.hostname}/{node['hostname']} /; s/ip}\"/ip} \"/; s/{VNFS}\"/{VNFS} \"/; s/{FILES}\"/{NODE_FILES} \"/; s/={NODE_KARGS}/='{NODE_KARGS}'/" rebuild.py
sed -i 's/^    for node in nodes:/&\n        if node["hostname"] in os.popen("wwsh node list -1").read().split(): continue/' rebuild.py
chmod +x rebuild.py
sudo ./rebuild.py
