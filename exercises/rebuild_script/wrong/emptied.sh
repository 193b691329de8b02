#: step run on sms as user1
cd ~/rebuild_script
sudo wwsh -y node delete '*'
chmod +x rebuild.py
sudo ./rebuild.py
