#: step run on sms as user1
cd ~/rebuild_script
sed -i 's/^import csv/import csv\nimport ipaddress/' rebuild.py
chmod +x rebuild.py
echo "c1,eth0,$C1_IP/$INTERNAL_PREFIX,$C1_MAC" >>nodes.csv
#: expect-fail
sudo ./rebuild.py
