# PIPELINE: the tests of the branch hardening pass, and its image is on the SMS.

#: step red on sms as user1
git clone -q git@runner:compute.git
cd compute
git switch -q hardening
cat compute/tests/test_hardening.py
git config user.name user1 && git config user.email user1@sms
git commit -q --allow-empty -m "What is missing?"
git push

#: step green on sms as user1
cat >>compute/playbook.yml <<'EOF'

    - name: Few passwords can be guessed
      ansible.builtin.copy:
        content: "MaxAuthTries 3\n"
        dest: /etc/ssh/sshd_config.d/hardening.conf
        mode: "0600"

    - name: Users do not read the kernel's log
      ansible.builtin.copy:
        content: "kernel.dmesg_restrict = 1\n"
        dest: /etc/sysctl.d/90-hardening.conf
        mode: "0644"
EOF
sed -i 's/"python3",/"python3", "rsyslog",/' compute/image.toml
git commit -q -a -m "Hardened nodes"
git push
nodeimage list compute
