"""A Docker engine for `sam local invoke`: the one that runs, or one of our own for as long as it is needed.

It comes before the base image. Ours touches no firewall rule, since its containers talk to this machine only;
its files are below `target/`, and it ends, by its process, when the tests end.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

START_SECONDS = 60
# From the end of the private ranges, where it is least likely to be somebody else's.
BRIDGE = "172.31.254.1/24"


def answers(host=None):
    """Whether an engine answers, at `host` or where the environment says."""
    environment = {**os.environ, **({"DOCKER_HOST": host} if host else {})}
    probe = ["docker", "version", "--format", "{{.Server.Version}}"]
    if shutil.which("docker") is None:
        return False
    return subprocess.run(probe, env=environment, capture_output=True, check=False).returncode == 0


def install():
    """Installs the engine from the distribution, which needs root and Debian or Ubuntu."""
    if shutil.which("dockerd") is None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io"]
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def running(folder: pathlib.Path):
    """The address of an engine; it is stopped afterwards if it was started here."""
    if answers():
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        return
    install()
    folder.mkdir(parents=True, exist_ok=True)
    # The path of a socket is limited to 107 bytes, which a deep checkout may exceed.
    socket = pathlib.Path(f"/run/fleetwarden-sam-{os.getpid()}.sock")
    bridge = pathlib.Path("/sys/class/net/docker0")
    had_bridge = bridge.exists()
    host = f"unix://{socket}"
    command = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec"]
    command += ["--pidfile", folder / "dockerd.pid", "--host", host, "--iptables=false"]
    command += ["--ip6tables=false", "--ip-masq=false", f"--bip={BRIDGE}"]
    with (folder / "dockerd.log").open("wb") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(START_SECONDS * 5):
            if answers(host):
                break
            if engine.poll() is not None:
                raise SystemExit(f"the Docker engine ended; see {folder / 'dockerd.log'}")
            time.sleep(0.2)
        else:
            raise SystemExit(f"the Docker engine does not answer; see {folder / 'dockerd.log'}")
        yield host
    finally:
        engine.terminate()
        engine.wait(timeout=60)
        socket.unlink(missing_ok=True)
        if bridge.exists() and not had_bridge:
            subprocess.run(["ip", "link", "delete", bridge.name], check=False)


def gateway(host):
    """This machine's address as the containers see it."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    environment = {**os.environ, "DOCKER_HOST": host}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return found.stdout.strip()
