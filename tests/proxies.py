"""Real proxies before an engine, run privately with a configuration of the test's own."""

import contextlib
import shutil
import socket
import subprocess

import pytest

from tests.conftest import wait_until


@contextlib.contextmanager
def running(program, configuration, folder, *arguments, address):
    """*program* with *configuration*, a text, in *folder*, until the block's end. It listens on *address*."""
    if not (path := shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")):
        pytest.skip(f"there is no {program}: install it")
    (folder / "configuration").write_text(configuration)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([path, *arguments, folder / "configuration"], stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: answers(address) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            yield
        finally:
            process.terminate()


def answers(address):
    """Whether somebody listens on *address*, a unix socket's path or host and port."""
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0


@contextlib.contextmanager
def nginx(engine_socket, folder):
    """The address of an engine behind nginx, which passes on upgrades, as its documentation says."""
    address = str(folder / "s")
    configuration = f"""
        daemon off;
        user root;
        pid {folder}/pid;
        error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/body;
            proxy_temp_path {folder}/proxy;
            map $http_upgrade $upgrading {{ default upgrade; "" close; }}
            server {{
                listen unix:{address};
                location / {{
                    proxy_pass http://unix:{engine_socket};
                    proxy_http_version 1.1;
                    proxy_set_header Host $http_host;
                    proxy_set_header Upgrade $http_upgrade;
                    proxy_set_header Connection $upgrading;
                    proxy_buffering off;
                }}
            }}
        }}
    """
    with running("nginx", configuration, folder, "-e", "stderr", "-c", address=address):
        yield f"unix://{address}"
