"""Controls of the system that runs in a container of the tree."""


def test_the_system_has_booted(host):
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_sshd_answers_by_its_socket(host):
    assert host.run("systemctl is-active ssh.socket").rc == 0
