#: step last on sms as user1
sudo wwsh -y file import /etc/pam.d/sshd --name=sshd.login
sudo wwsh -y provision set '*' --fileadd=sshd.login
