"""Must show 5: exec, attach, cp and port-forward carry bytes, sizes and exit codes faithfully."""

from __future__ import annotations

import hashlib
import random
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from devcluster.terminal import Terminal
from tests.e2e.pods import IDLE, container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

POD = "pod/shell"
MB = 1_000_000
HTTPD = "mkdir -p /www && echo hello from the edge > /www/index.html && httpd -p 8080 -h /www; "
# Both ways that kubectl can talk to the API server.
PROTOCOLS = {"websocket": "true", "spdy": "false"}


@pytest.fixture(scope="module", autouse=True)
def shell(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod with a shell, and an HTTP server on its port 8080."""
    kubectl.apply(pod("shell", container(script=HTTPD + IDLE), site=cluster.site))
    kubectl.wait("condition=Ready", POD)


@pytest.fixture(params=list(PROTOCOLS))
def streaming(kubectl: Kubectl, request: pytest.FixtureRequest) -> Kubectl:
    """A kubectl that streams over WebSocket, and one that streams over SPDY."""
    choice = PROTOCOLS[request.param]
    return kubectl.within(
        kubectl.namespace,
        KUBECTL_REMOTE_COMMAND_WEBSOCKETS=choice,
        KUBECTL_PORT_FORWARD_WEBSOCKETS=choice,
    )


def noise(size: int) -> bytes:
    """Return bytes that no compression or repetition could fake, the same on every run."""
    return random.Random(size).randbytes(size)  # noqa: S311  # test data, not a secret


def test_the_exit_status_is_the_commands(streaming: Kubectl) -> None:
    """`exit 3` ends kubectl with 3, `true` with 0, an unknown command with a message."""
    assert streaming.run("exec", POD, "--", "sh", "-c", "exit 3").status == 3
    assert streaming.run("exec", POD, "--", "true").status == 0
    missing = streaming.run("exec", POD, "--", "no-such-command")
    assert missing.status != 0
    assert "no-such-command" in missing.error


def test_stdout_and_stderr_stay_apart(streaming: Kubectl) -> None:
    """What is written to each arrives there and only there."""
    outcome = streaming.run("exec", POD, "--", "sh", "-c", "echo to out; echo to err >&2")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, b"to out\n", b"to err\n")


def test_arguments_arrive_as_they_were_given(streaming: Kubectl) -> None:
    """Spaces, quotes, ampersands, percent signs and other alphabets survive the query string."""
    words = ["a b", "it's", '"', "x&command=y", "100%", "grün", "", "a=b", "#?/"]
    outcome = streaming.run("exec", POD, "--", "printf", "%s\\n", *words)
    assert outcome.text.splitlines() == words, outcome


def test_20_mb_through_stdin(streaming: Kubectl) -> None:
    """Standard input arrives whole, and its end is seen by the command."""
    data = noise(20 * MB)
    outcome = streaming.run("exec", "-i", POD, "--", "sha256sum", stdin=data, timeout_s=120)
    assert outcome.status == 0, outcome.error
    assert outcome.text.split()[0] == hashlib.sha256(data).hexdigest()


def test_100_mb_through_stdout(streaming: Kubectl) -> None:
    """Standard output arrives whole, up to the last byte before the exit status."""
    make = f"head -c {100 * MB} /dev/urandom > /tmp/blob; sha256sum /tmp/blob"
    expected = streaming.ok("exec", POD, "--", "sh", "-c", make, timeout_s=120).split()[0]
    outcome = streaming.run("exec", POD, "--", "cat", "/tmp/blob", timeout_s=180)
    assert outcome.status == 0, outcome.error
    assert len(outcome.stdout) == 100 * MB
    assert hashlib.sha256(outcome.stdout).hexdigest() == expected


def test_eight_execs_at_once_do_not_mix(kubectl: Kubectl) -> None:
    """Each caller gets its own output, whole."""

    def one(number: int) -> tuple[int, bytes]:
        script = f"yes {number} | head -c {MB}"
        outcome = kubectl.run("exec", POD, "--", "sh", "-c", script, timeout_s=120)
        return outcome.status, outcome.stdout

    with ThreadPoolExecutor(max_workers=8) as pool:
        results = list(pool.map(one, range(8)))
    for number, (status, output) in enumerate(results):
        assert (status, output) == (0, (f"{number}\n".encode() * MB)[:MB])


def test_a_terminal_has_prompt_size_and_end(streaming: Kubectl) -> None:
    """`exec -it` under a pseudo-terminal: a prompt, `stty size` after a resize, exit's status."""
    command = streaming.command("exec", "-it", POD, "--", "sh")
    with Terminal(command, environment=streaming.environment, rows=24, columns=80) as terminal:
        terminal.expect("/ # ", timeout_s=20)
        eventually(
            lambda: _size(terminal) == "24 80", what="the first size is 24 by 80", timeout_s=10
        )
        terminal.resize(rows=40, columns=111)
        eventually(lambda: _size(terminal) == "40 111", what="the resize is followed", timeout_s=10)
        terminal.type("exit 5\n")
        assert terminal.wait(timeout_s=20) == 5


def _size(terminal: Terminal) -> str:
    """Ask the terminal in the pod for its size: "ROWS COLUMNS"."""
    terminal.type("stty size; echo end of size\n")
    shown = terminal.expect("\nend of size", timeout_s=10)
    sizes = re.findall(r"^(\d+ \d+)\s*$", shown, flags=re.MULTILINE)
    return str(sizes[-1]) if sizes else ""


def test_ctrl_c_reaches_the_command(kubectl: Kubectl) -> None:
    """A terminal's interrupt stops what runs in the pod, not kubectl."""
    command = kubectl.command("exec", "-it", POD, "--", "sh")
    with Terminal(command, environment=kubectl.environment, rows=24, columns=80) as terminal:
        terminal.expect("/ # ", timeout_s=20)
        terminal.type("sleep 300\n")
        terminal.expect("sleep 300", timeout_s=10)
        kubectl.ok(
            "exec", POD, "--", "sh", "-c", "until ps | grep -q '[s]leep 300'; do sleep 0.1; done"
        )
        terminal.type("\x03")
        terminal.expect("/ # ", timeout_s=10)
        terminal.type("exit\n")
        assert terminal.wait(timeout_s=20) == 130


def test_attach_talks_to_the_main_process(cluster: Cluster, streaming: Kubectl) -> None:
    """`attach -i` writes to the container's standard input and shows its output."""
    choice = streaming.environment["KUBECTL_REMOTE_COMMAND_WEBSOCKETS"]
    name = f"echoing-{choice}"
    script = 'while read -r word; do echo "got $word"; [ "$word" = quit ] && exit 0; done'
    echoing = container(script=script, stdin=True)
    streaming.apply(pod(name, echoing, site=cluster.site, restartPolicy="Never"))
    streaming.wait("condition=Ready", f"pod/{name}")
    with streaming.running("attach", "-i", name) as attached:
        attached.send(b"one\n")
        attached.line(containing="got one")
        attached.send(b"quit\n")
        attached.line(containing="got quit")
        assert attached.wait(timeout_s=20) == 0, attached.error
    streaming.wait("jsonpath={.status.phase}=Succeeded", f"pod/{name}")


def test_cp_both_ways(kubectl: Kubectl, tmp_path: Path) -> None:
    """A file and a folder go into the pod and come back the same."""
    there, back = tmp_path / "there", tmp_path / "back"
    (there / "deep").mkdir(parents=True)
    (there / "big").write_bytes(noise(5 * MB))
    (there / "deep" / "small").write_text("small\n")
    pod_path = f"{kubectl.namespace}/shell:/tmp/copied"
    kubectl.ok("cp", str(there), pod_path, timeout_s=120)
    listed = kubectl.ok("exec", POD, "--", "sha256sum", "/tmp/copied/big").split()[0]
    assert listed == hashlib.sha256(noise(5 * MB)).hexdigest()
    kubectl.ok("cp", pod_path, str(back), timeout_s=120)
    assert (back / "big").read_bytes() == noise(5 * MB)
    assert (back / "deep" / "small").read_text() == "small\n"


def test_port_forward_reaches_an_http_server(streaming: Kubectl) -> None:
    """Several connections at once through one port-forward, a large answer among them."""
    size = 10 * MB
    script = f"head -c {size} /dev/urandom > /www/blob; sha256sum /www/blob"
    expected = streaming.ok("exec", POD, "--", "sh", "-c", script).split()[0]
    with streaming.running("port-forward", POD, ":8080") as forward:
        line = forward.line(containing="Forwarding from 127.0.0.1:").text
        port = line.split("127.0.0.1:")[1].split()[0]

        def fetch(path: str) -> bytes:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
                body: bytes = answer.read()
                return body

        with ThreadPoolExecutor(max_workers=4) as pool:
            small = [pool.submit(fetch, "index.html") for _ in range(6)]
            big = pool.submit(fetch, "blob")
            assert [one.result() for one in small] == [b"hello from the edge\n"] * 6
            assert hashlib.sha256(big.result()).hexdigest() == expected


def test_a_closed_port_is_reported(kubectl: Kubectl) -> None:
    """Nothing listens in the pod: the connection ends, kubectl says why, and stays usable."""
    with kubectl.running("port-forward", POD, ":8081") as forward:
        line = forward.line(containing="Forwarding from 127.0.0.1:").text
        port = line.split("127.0.0.1:")[1].split()[0]
        with pytest.raises(OSError, match=r"."):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)
        eventually(lambda: "8081" in forward.error, what="kubectl names the port", timeout_s=10)


def test_an_unknown_container_is_refused(kubectl: Kubectl) -> None:
    """Kubectl ends with a message that names it."""
    outcome = kubectl.run("exec", POD, "-c", "nothing", "--", "true")
    assert outcome.status == 1
    assert "container nothing is not valid for pod" in outcome.error
