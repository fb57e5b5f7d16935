"""Real proxies in front of an engine or a server, run privately, some with a configuration from the manual."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import textwrap

import pytest

from tests.conftest import ROOT, wait_until


def path_of(program):
    """The path of *program*, also from folders that are in root's PATH only. Skips the test if there is none."""
    if not (path := shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")):
        pytest.skip(f"there is no {program}: install it")
    return path


def from_the_manual(page, first_line, **replacements):
    """The literal block of a page that begins with *first_line*, with replacements for a test."""
    text = (ROOT / f"docs/{page}.rst").read_text()
    (block,) = re.findall(rf"^((?:    .*\n)*    {re.escape(first_line)}\n(?:    .*\n)*)", text, re.MULTILINE)
    for placeholder, value in replacements.items():
        assert placeholder in block
        block = block.replace(placeholder, value)
    return textwrap.dedent(block)


@contextlib.contextmanager
def running(program, configuration, folder, *arguments, address):
    """Run *program* with the text *configuration* in *folder* until the block ends. It listens on *address*."""
    path = path_of(program)
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
    """Whether a server listens on *address*, which is a unix socket's path, or a host and port."""
    with socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX) as client:
        return client.connect_ex(address) == 0


@contextlib.contextmanager
def nginx(engine_socket, folder):
    """The address of an engine behind nginx, which passes on upgrades, as its documentation says."""
    address = str(folder / "s")
    server = f"""
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
    """
    with _running_nginx(server, folder, address):
        yield f"unix://{address}"


@contextlib.contextmanager
def nginx_before(url, folder, *, forget=()):
    """The address of a server's page behind nginx, as in the manual, without the lines that begin with *forget*."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    location = from_the_manual("serving", "location /shell/ {", **{"http://127.0.0.1:8080/PATH": url})
    lines = [line for line in location.splitlines(keepends=True) if not line.strip().startswith(tuple(forget))]
    server = f"server {{ listen {address[0]}:{address[1]}; {''.join(lines)} }}"
    with _running_nginx(server, folder, address):
        yield f"http://{address[0]}:{address[1]}/shell/"


@contextlib.contextmanager
def _running_nginx(server, folder, address):
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
            {server}
        }}
    """
    with running("nginx", configuration, folder, "-e", "stderr", "-c", address=address):
        yield


@contextlib.contextmanager
def haproxy(engine_socket, folder, container):
    """The addresses of an engine behind HAProxy: in HTTP mode as in the manual, and in TCP mode."""
    replacements = {
        "NAME": container,
        "/var/run/docker.sock": engine_socket,
        "/run/dockerexec-ws.sock": f"{folder}/http",
        "user root group dockerexec-ws": "",
    }
    configuration = f"""{from_the_manual("operating", "global", **replacements)}
listen tcp
    mode tcp
    bind unix@{folder}/tcp
    server engine unix@{engine_socket}
"""
    with running("haproxy", configuration, folder, "-db", "-f", address=f"{folder}/tcp"):
        yield f"unix://{folder}/http", f"unix://{folder}/tcp"


def haproxy_passes_on_upgrades():
    """Whether this machine's HAProxy passes on upgrades in HTTP mode."""
    told = subprocess.run([path_of("haproxy"), "-v"], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"version (\d+)", told)[1]) >= 3


@contextlib.contextmanager
def apache(engine_socket, folder, container):
    """The address of an engine behind Apache, as in the manual."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    port = address[1]
    modules = "/usr/lib/apache2/modules"
    site = from_the_manual(
        "operating",
        "Listen 127.0.0.1:2375",
        **{"127.0.0.1:2375": f"127.0.0.1:{port}", "NAME": container, "/var/run/docker.sock": engine_socket},
    )
    configuration = f"""
        ServerName localhost
        PidFile {folder}/pid
        DefaultRuntimeDir {folder}
        ErrorLog {folder}/error.log
        User www-data
        Group #{os.stat(engine_socket).st_gid}
        LoadModule mpm_event_module {modules}/mod_mpm_event.so
        LoadModule authz_core_module {modules}/mod_authz_core.so
        LoadModule proxy_module {modules}/mod_proxy.so
        LoadModule proxy_http_module {modules}/mod_proxy_http.so
        {site}
    """
    with running("apache2", configuration, folder, "-DFOREGROUND", "-f", address=address):
        yield f"tcp://127.0.0.1:{port}"
