"""Controls of the tree, before an image is made of it."""


def test_root_needs_a_key(host):
    settings = host.file("/etc/ssh/sshd_config.d/node.conf")
    assert settings.mode == 0o600
    assert settings.contains("PermitRootLogin prohibit-password")


def test_passwords_are_not_asked_for(host):
    assert host.file("/etc/ssh/sshd_config.d/node.conf").contains("PasswordAuthentication no")


def test_users_learn_what_the_node_is(host):
    assert host.file("/etc/motd").contains("compute node")
