"""What system a host runs."""

import platform


def os_info() -> str:
    """The distribution by its own name, as ``os-release(5)`` has it."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def kernel() -> str:
    """The running kernel's release."""
    return platform.release()
