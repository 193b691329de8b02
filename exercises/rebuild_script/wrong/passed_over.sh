#: step run on sms as user1
cd ~/rebuild_script
sed -i "s/^import csv/import csv\nimport ipaddress/; s/{node.hostname}/{node['hostname']} /; s/ip}\"/ip} \"/; s/{VNFS}\"/{VNFS} \"/; s/{FILES}\"/{NODE_FILES} \"/; s/={NODE_KARGS}/='{NODE_KARGS}'/" rebuild.py
sed -i 's/^    for node in nodes:/&\n        if node["hostname"] in os.popen("wwsh node list -1").read().split(): continue/' rebuild.py
chmod +x rebuild.py
sudo ./rebuild.py
