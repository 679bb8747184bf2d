"""Where the key of stored secrets is."""

from __future__ import annotations

import pytest

from edge_runtime.config import ConfigError, decode_config


def test_default_is_a_file() -> None:
    """No TPM is needed, and nothing to be configured."""
    config = decode_config({}).sealing_key
    assert (config.source, config.file, config.tpm2_pcrs) == ("file", "", (7,))


def test_tpm_is_chosen_by_name() -> None:
    """With what it is bound to."""
    given = {"source": "tpm2", "file": "/etc/k", "tpm2Device": "/dev/tpmrm0", "tpm2PCRs": [0, 7]}
    config = decode_config({"sealingKey": given}).sealing_key
    assert (config.source, config.file) == ("tpm2", "/etc/k")
    assert (config.tpm2_device, config.tpm2_pcrs) == ("/dev/tpmrm0", (0, 7))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"source": "vault"}, "sealingKey.source"),
        ({"file": "key"}, "sealingKey.file: 'key' is no absolute path"),
        ({"tpm2PCRs": []}, "sealingKey.tpm2PCRs: name at least one"),
        ({"tpm2PCRs": [24]}, "sealingKey.tpm2PCRs: 24 is not 0 to 23"),
        ({"key": "c2VjcmV0"}, "sealingKey: object contains unknown field `key`"),
    ],
)
def test_mistake_is_named(given: object, problem: str) -> None:
    """The field first."""
    with pytest.raises(ConfigError, match=problem.replace("[", r"\[")):
        decode_config({"sealingKey": given})
