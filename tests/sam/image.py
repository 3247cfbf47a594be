"""The base image that `sam local invoke` expects, made from this machine instead of being pulled.

It comes after the engine and before the first invocation. It holds what a function needs of
`provided.al2023`: a C library, a trust store, and the two scripts that lead to its `bootstrap`. So that the
binary that was built here is the one that runs; that it would also run on the real image, whose C library is
older, is checked by `glibc.py`.
"""

import io
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

# Under these names the SAM CLI asks for it.
TAGS = ("public.ecr.aws/lambda/provided:al2023-x86_64", "public.ecr.aws/lambda/provided:al2023")
# What it derives from it: one image for functions without layers, one for each set of layers.
DERIVED = re.compile(r"public\.ecr\.aws/lambda/provided:al2023-rapid-|samcli/lambda-provided")
TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
# The SAM CLI adds the runtime emulator to the image with these.
APPLETS = ("sh", "mv", "chmod", "mkdir", "cat", "ls")
BOOTSTRAP = b"#!/bin/sh\nexec /var/task/bootstrap\n"
ENTRYPOINT = b"#!/bin/sh\nexec /var/rapid/aws-lambda-rie /var/runtime/bootstrap\n"


def busybox():
    """A static busybox, installed from the distribution if there is none."""
    path = shutil.which("busybox")
    if path is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "busybox-static"], check=True)
        path = shutil.which("busybox")
    return pathlib.Path(path)


def libraries(binary: pathlib.Path):
    """The shared libraries of a binary with the paths where it looks for them."""
    listing = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listing)))


def root_filesystem(binaries):
    """The image's files as a tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:

        def add(name, data, mode=0o755):
            info = tarfile.TarInfo(name.lstrip("/"))
            info.size, info.mode = len(data), mode
            tar.addfile(info, io.BytesIO(data))

        def link(name, target):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)

        for folder, mode in (("tmp", 0o1777), ("var/task", 0o755), ("opt", 0o755), ("var/rapid", 0o755)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        add("bin/busybox", busybox().read_bytes())
        for applet in APPLETS:
            link(f"bin/{applet}", "busybox")
        for library in sorted({library for binary in binaries for library in libraries(binary)}):
            add(library, pathlib.Path(library).read_bytes())
        add(TRUST_STORE, pathlib.Path(TRUST_STORE).read_bytes(), 0o644)
        add("var/runtime/bootstrap", BOOTSTRAP)
        add("lambda-entrypoint.sh", ENTRYPOINT)
    return archive.getvalue()


def forget(environment):
    """Removes what the SAM CLI derived from an earlier base image, which it would take again."""
    listing = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    found = subprocess.run(listing, env=environment, capture_output=True, text=True, check=True).stdout.split()
    derived = [name for name in found if DERIVED.match(name)]
    if derived:
        remove = ["docker", "rmi", "--force", *derived]
        subprocess.run(remove, env=environment, check=True, stdout=subprocess.DEVNULL)


def make(host, binaries, variables):
    """Makes the image, with `variables` in the environment of every function.

    The SAM CLI hands a function only those variables that its template names, and the template names no
    endpoint, so that the machine's services are told by the image.
    """
    environment = {**os.environ, "DOCKER_HOST": host}
    settings = {"PATH": "/bin", "LANG": "C.UTF-8", "LAMBDA_TASK_ROOT": "/var/task", **variables}
    changes = [f"--change=ENV {name}={value}" for name, value in settings.items()]
    changes += ["--change=WORKDIR /var/task", '--change=ENTRYPOINT ["/lambda-entrypoint.sh"]']
    forget(environment)
    first, *others = TAGS
    tar = root_filesystem(binaries)
    command = ["docker", "import", *changes, "-", first]
    subprocess.run(command, env=environment, input=tar, check=True, stdout=subprocess.DEVNULL)
    for tag in others:
        subprocess.run(["docker", "tag", first, tag], env=environment, check=True)
