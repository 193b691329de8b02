#: step watch on sms as user1
sudo mkdir -p /opt/ohpc/pub/rolling
sed -e "s/= rebooting/= rolling:rebooting/" -e "s/= reboot ]/= rolling:reboot ]/" -e "s/reason=rebooting/reason=rolling:rebooting/" rolling_reboot/rolling-check | sudo tee /opt/ohpc/pub/rolling/check > /dev/null
sudo chmod 755 /opt/ohpc/pub/rolling/check
sudo sed -i 's,^HealthCheckProgram=.*,HealthCheckProgram=/opt/ohpc/pub/rolling/check,' /etc/slurm/slurm.conf
sudo sed -i 's,^HealthCheckInterval=.*,HealthCheckInterval=10,' /etc/slurm/slurm.conf
sudo scontrol reconfigure
