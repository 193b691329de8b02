#: step watch on sms as user1
sudo mkdir -p /opt/ohpc/pub/rolling
sudo cp rolling_reboot/rolling-check /opt/ohpc/pub/rolling/check
sudo sed -i 's,^HealthCheckProgram=.*,HealthCheckProgram=/opt/ohpc/pub/rolling/check,' /etc/slurm/slurm.conf
sudo sed -i 's,^HealthCheckInterval=.*,HealthCheckInterval=10,' /etc/slurm/slurm.conf
sudo scontrol reconfigure
