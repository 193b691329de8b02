# A repository as new, with a branch on which somebody has committed tests and no configuration yet.

#: step red on runner as root
#: wait test -e /run/runner/ready within 60
rm -rf /srv/git/compute.git /tmp/lesson /var/lib/runner/results/[0-9]* && runner create compute --example
git clone -q /srv/git/compute.git /tmp/lesson && git -C /tmp/lesson checkout -q -b hardening
cat >/tmp/lesson/compute/tests/test_hardening.py <<'EOF'
"""What the security office asks of every node."""


def test_few_passwords_can_be_guessed(host):
    settings = host.file("/etc/ssh/sshd_config.d/hardening.conf")
    assert settings.exists
    assert settings.mode == 0o600
    assert settings.contains("^MaxAuthTries 3$")


def test_users_do_not_read_the_kernels_log(host):
    assert host.file("/etc/sysctl.d/90-hardening.conf").contains("^kernel.dmesg_restrict *= *1$")


def test_logins_are_logged(host):
    assert host.package("rsyslog").is_installed
EOF
git -C /tmp/lesson add --all && git -C /tmp/lesson commit -q -m "Tests for hardened nodes"
git -C /srv/git/compute.git fetch -q /tmp/lesson hardening:refs/heads/hardening hardening:refs/lesson/start
chown -R git:git /srv/git/compute.git && rm -rf /tmp/lesson
