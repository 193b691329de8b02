# Read an old rolling-reboot health check, harden it, and update the cluster with it.

#: step watch on sms as user1
cat rolling_reboot/rolling-check
sudo mkdir -p /opt/ohpc/pub/rolling
sudo cp rolling_reboot/rolling-check /opt/ohpc/pub/rolling/check
sudo sed -i 's,^HealthCheckProgram=.*,HealthCheckProgram=/opt/ohpc/pub/rolling/check,' /etc/slurm/slurm.conf
sudo sed -i 's,^HealthCheckInterval=.*,HealthCheckInterval=10,' /etc/slurm/slurm.conf
sudo scontrol reconfigure
sbatch -w c2 --wrap 'sleep 600'
#: wait squeue -h -t R -w c2 | grep -q . within 300
sudo scontrol update nodename=c1 state=drain reason="reboot tonight, says Ann"
sudo scontrol update nodename=c2 comment="on Monday it had State=IDLE+DRAIN Reason=reboot"
#: wait scontrol show node c2 | grep -q Reason=rebooting within 300
squeue
sinfo -N -O NodeList,StateComplete,Reason:40
sudo scontrol update nodename=c2 comment=
#: wait sinfo -h -n c1 -o %T | grep -qx idle within 300
sinfo -N -O NodeList,StateComplete,Reason:40
sudo ssh c1 cat /proc/sys/kernel/random/boot_id
#: may-fail
sudo scontrol update nodename=c2 state=resume
scancel -u user1

#: step harden on sms as user1
#: expect-fail
python3 rolling_reboot/rehearse.py /opt/ohpc/pub/rolling/check
sudo tee /opt/ohpc/pub/rolling/check.new > /dev/null <<'END'
#!/bin/bash
# rolling-check: reboots a drained node into the wanted image, and resumes it once it runs that image.
# To update a node: scontrol update nodename=NODE state=drain reason=rolling:reboot
RELEASE=${ROLLING_RELEASE:-/etc/image-release}
WANTED=${ROLLING_WANTED:-/opt/ohpc/pub/rolling/wanted}
BOOT_ID=${ROLLING_BOOT_ID:-/proc/sys/kernel/random/boot_id}
METRICS=${ROLLING_METRICS:-http://192.0.2.1:8086/write}
NEXT=${ROLLING_NEXT:-/usr/sbin/nhc}

NODE=$(hostname -s)
others() { exec "$NEXT"; }
event() { curl -s --max-time 5 --data-binary "events,node=$NODE text=\"$1\"" "$METRICS" >/dev/null 2>&1; }
update() { scontrol update nodename="$NODE" "$@"; }

# sinfo prints only the requested field; a comment cannot imitate it.
state=$(sinfo -h -n "$NODE" -O StateComplete:200) || others
reason=$(sinfo -h -n "$NODE" -o %E) || others
state=$(head -n 1 <<<"$state" | tr -d ' ')
read -r token boot _ <<<"$reason"
case +$state+ in *+drain+*) ;; *) others ;; esac

case $token in
    rolling:reboot)
        case +$state+ in *+completing+*) others ;; +idle+*) ;; *) others ;; esac
        # The reason survives the reboot. Do not reboot if the controller does not accept it.
        update reason="rolling:rebooting $(cat "$BOOT_ID")" || others
        event "reboots into a new image"
        reboot
        exit ;;
    rolling:rebooting)
        [ "$boot" != "$(cat "$BOOT_ID")" ] || others    # still the old boot
        if cmp -s "$RELEASE" "$WANTED"; then
            update state=resume && event "back in production"
        else
            update reason="rolling:failed, it runs $(cat "$RELEASE")"
        fi ;;
esac
others
END
bash -n /opt/ohpc/pub/rolling/check.new
python3 rolling_reboot/rehearse.py /opt/ohpc/pub/rolling/check.new
sudo chmod 755 /opt/ohpc/pub/rolling/check.new
sudo mv /opt/ohpc/pub/rolling/check.new /opt/ohpc/pub/rolling/check
python3 rolling_reboot/rehearse.py /opt/ohpc/pub/rolling/check old-image

#: step roll on sms as user1
echo debian13-2 | sudo tee ${CHROOT}/etc/image-release
sudo wwvnfs --chroot=${CHROOT}
sudo cp ${CHROOT}/etc/image-release /opt/ohpc/pub/rolling/wanted
#: wait ! sudo ssh c1 pgrep -f rolling/chec[k] && ! sudo ssh c2 pgrep -f rolling/chec[k] within 120
#: wait sinfo -h -N -o %T | sort -u | grep -qx idle within 300
sudo scontrol update nodename=c1 state=drain reason=rolling:reboot
#: wait sinfo -h -n c1 -o %T | grep -qx idle within 500
sudo ssh c1 cat /etc/image-release
sudo scontrol update nodename=$(sinfo -h -N -o %N | grep -vx c1 | sort -u | paste -sd,) state=drain reason=rolling:reboot
#: wait test "$(sinfo -h -N -o %T | sort -u)" = idle within 500
sinfo -N -O NodeList,StateComplete,Reason:40
sudo grep -a update_node /var/log/slurm/slurmctld.log | tail -n 12
