#: step bootstrap on sms as user1
#: answer yes to Yes/No>
sudo wwbootstrap --name=$(basename ${CHROOT}/lib/modules/*) $(uname -r)
