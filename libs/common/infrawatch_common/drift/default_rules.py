"""How much changes matter where nobody has said otherwise."""

from typing import Any

from infrawatch_common.drift.reading_rules import rules_from

_SYSTEM = ["dpkg", "rpm", "apk"]
_KERNELS = ["linux-image-*", "kernel", "kernel-core", "kernel-default", "linux-lts", "linux-virt"]
# What all others rely on: cryptography, logging in, becoming root, the C library, the first process, the installer.
_FOUNDATIONS = [
    *("openssl", "openssl-libs", "libssl[0-9]*", "libcrypto[0-9]*", "libgnutls*", "gnutls", "ca-certificates"),
    *("openssh", "openssh-server", "openssh-client", "openssh-clients", "sudo", "doas", "polkit*", "policykit-1"),
    *("libpam*", "pam", "login", "passwd", "shadow", "shadow-utils", "libc6", "libc-bin", "glibc", "musl"),
    *("systemd", "libsystemd0", "systemd-libs", "apt", "dpkg", "rpm", "dnf", "apk-tools", "gpgv", "gnupg", "gnupg2"),
]
_PROTECTIONS = [
    *("apparmor", "selinux-policy*", "auditd", "audit", "fail2ban", "aide"),
    *("iptables", "nftables", "ufw", "firewalld", "unattended-upgrades", "dnf-automatic"),
]
_DOORS = ["openssh-server", "telnetd*", "telnet-server", "rsh-server", "xrdp", "*vnc*server*", "cockpit", "webmin"]
_LOADED = ["LD_*", "PATH", "PYTHONPATH", "PYTHONHOME", "PERL5LIB", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS"]


def _package(severity: str, reason: str, what: str, *names: str) -> dict[str, Any]:
    rule = {"category": "package", "sources": _SYSTEM, "what": [what], "severity": severity, "reason": reason}
    return rule | {"names": list(names)}


DEFAULT_RULES: list[dict[str, Any]] = [
    {
        "category": "source",
        "what": ["removed"],
        "severity": "warning",
        "reason": "as long as a source is not reported, nobody sees its packages change",
    },
    {"category": "source", "severity": "info", "reason": "its packages are watched from now on"},
    {"category": "kernel", "severity": "warning", "reason": "the host has started with another kernel"},
    {"category": "os", "severity": "warning", "reason": "another release of the system brings other versions of all"},
    _package("critical", "the older version has the holes that its successor closed", "downgraded", *_FOUNDATIONS),
    _package("critical", "the older kernel has the holes that its successor closed", "downgraded", *_KERNELS),
    _package("critical", "what guarded the host is gone", "removed", *_PROTECTIONS),
    _package("critical", "what other programs rely on is gone", "removed", *_FOUNDATIONS),
    _package("warning", "old kernels go after an update, but so may the one that runs", "removed", *_KERNELS),
    _package("warning", "it is a new way into the host", "added", *_DOORS),
    {
        "category": "package",
        "what": ["downgraded"],
        "severity": "warning",
        "reason": "updates do not go back: somebody has chosen the older version",
    },
    {"category": "package", "severity": "info", "reason": "packages change with every update"},
    {"category": "env", "names": _LOADED, "severity": "warning", "reason": "it decides which code programs load"},
    {"category": "env", "severity": "info", "reason": "settings change with every deployment"},
]

DEFAULT = rules_from(DEFAULT_RULES)
