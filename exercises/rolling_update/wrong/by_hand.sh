#: step roll on sms as user1
#: wait test "$(tail -n 1 tasks.log | grep -o '[0-9]*$')" -gt $(($(date +%s) - 4)) within 120
#: may-fail
sudo ssh c1 reboot
#: wait sinfo -hN -n c1 -o %t | grep -qx down within 400
sudo scontrol update nodename=c1 state=resume
#: wait sinfo -hN -n c1 -t idle,alloc,mix -o %N | grep -q c1 within 200
#: wait test "$(sudo tail -n 1 /home/user2/tasks.log | grep -o '[0-9]*$')" -gt $(($(date +%s) - 4)) within 120
#: may-fail
sudo ssh c2 reboot
#: wait sinfo -hN -n c2 -o %t | grep -qx down within 400
sudo scontrol update nodename=c2 state=resume
#: wait sinfo -hN -n c2 -t idle,alloc,mix -o %N | grep -q c2 within 200
