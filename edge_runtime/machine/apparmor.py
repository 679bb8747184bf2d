"""Whether the machine can confine containers with AppArmor."""

from __future__ import annotations

from pathlib import Path


def apparmor_problem(*, sys: Path = Path("/sys")) -> str | None:
    """Say why it cannot, None when it can; blocks on files of the kernel only.

    Source: kubernetes third_party/forked/libcontainer/apparmor ``IsEnabled``,
    pkg/security/apparmor/validate.go ``validateHost``.
    """
    try:
        is_enabled = (sys / "module/apparmor/parameters/enabled").read_text().startswith("Y")
    except OSError:
        is_enabled = False
    if is_enabled and (sys / "kernel/security/apparmor").exists():
        return None
    return "AppArmor is not enabled on the host"
