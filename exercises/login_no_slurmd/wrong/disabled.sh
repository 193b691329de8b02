#: step condition on login as root
systemctl disable --now slurmd
