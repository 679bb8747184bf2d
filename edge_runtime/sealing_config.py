"""The part of the edge's configuration that says where the key of stored secrets is; pure.

sealingKey:
  source: tpm2
  tpm2PCRs: [7]
"""

from __future__ import annotations

from typing import Literal

import msgspec

# PCRs of a TPM 2.0 for PC clients.
_MAX_PCR = 23


class SealingKeyConfig(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Where the key is with which Secrets and tokens are sealed in the database.

    Attributes:
        source: ``file`` is a file that only root reads, ``tpm2`` one that only this machine's TPM
            opens (systemd-creds is needed). Either is made where it is missing.
        file: Absolute path; ``sealing.key`` or ``sealing-key.cred`` below rootDirectory where it is
            empty.
        tpm2_device: As systemd-creds takes it; "" for the one that the kernel offers.
        tpm2_pcrs: What must be as it was when the key was made; 7 is the state of Secure Boot.
    """

    source: Literal["file", "tpm2"] = "file"
    file: str = ""
    tpm2_device: str = ""
    tpm2_pcrs: tuple[int, ...] = msgspec.field(name="tpm2PCRs", default=(7,))


def sealing_key_problem(config: SealingKeyConfig) -> str | None:
    """Say in a few words, after its field's name, what of it makes no sense."""
    if config.file and not config.file.startswith("/"):
        return f"sealingKey.file: {config.file!r} is no absolute path"
    # systemd-creds 252 seals to no PCR at all, but cannot open it again.
    if not config.tpm2_pcrs:
        return "sealingKey.tpm2PCRs: name at least one"
    for each in config.tpm2_pcrs:
        if not 0 <= each <= _MAX_PCR:
            return f"sealingKey.tpm2PCRs: {each} is not 0 to {_MAX_PCR}"
    return None
