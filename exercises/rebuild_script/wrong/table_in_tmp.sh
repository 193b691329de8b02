#: step rebuild on sms as user1
cd ~/rebuild_script
cp nodes.csv /tmp/nodes.csv
sed -i 's|os.path.join(folder, "nodes.csv")|"/tmp/nodes.csv"|' rebuild.py
sudo ./rebuild.py
