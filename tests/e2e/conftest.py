"""What all end-to-end tests share: real programs, started freshly, stopped whatever happens."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RESIN_BUILD", ROOT / "build"))
PARTS = ["resin", "resin-agent", "resin-helper", "libresin-probe.so", "resin-demo-server",
         "resin-demo-client", "resin.conf.5"]
IS_ROOT = os.geteuid() == 0
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

needs_root = pytest.mark.skipif(not IS_ROOT, reason="NEEDS ROOT: other users are part of the test")


def wait_until(what, timeout, every=0.1, why=""):
    """The first true value of what(), within timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {why or what}")
        time.sleep(every)


def tracer_of(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("TracerPid:"):
            return int(line.split()[1])


@pytest.fixture(scope="session")
def parts(tmp_path_factory):
    """The built programs where every user can run them."""
    d = pathlib.Path(tempfile.mkdtemp(prefix="resin-e2e-"))
    d.chmod(0o755)
    for name in PARTS:
        shutil.copy(BUILD / name, d / name)
    yield d
    shutil.rmtree(d)


@pytest.fixture(scope="session")
def victim(parts):
    subprocess.run(["gcc", "-O2", "-g", "-pthread", "-o", parts / "victim",
                    ROOT / "tests/leakers/victim.c"], check=True)
    return parts / "victim"


class Processes:
    """Children that end with the test."""

    def __init__(self):
        self.all = []

    def start(self, args, **kw):
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("text", True)
        p = subprocess.Popen([str(a) for a in args], **kw)
        self.all.append(p)
        return p

    def stop(self, p, sig=signal.SIGTERM, timeout=15):
        if p.poll() is None:
            p.send_signal(signal.SIGCONT)
            p.send_signal(sig)
        try:
            out, _ = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, _ = p.communicate()
        return out

    def stop_all(self):
        for p in reversed(self.all):
            self.stop(p, timeout=5)


@pytest.fixture
def procs():
    p = Processes()
    yield p
    p.stop_all()


class Resin:
    """A server, a helper and an agent of their own, with all periods 120 times shorter."""

    CONFIG = """
[agent]
period = 83ms
[detect]
step = 1s
[campaign]
duration = 10s
expiry = 10s
"""

    def __init__(self, procs, parts, data, policy="[profile]\nallow = *\n", config=""):
        self.procs, self.parts, self.data = procs, parts, data
        self.log = open(data / "log", "w+")
        data.chmod(0o755)
        (data / "resin.conf").write_text(self.CONFIG + config)
        if policy is not None:
            (data / "policy.conf").write_text(policy)
        self.helper_socket = data / "helper.sock"
        (data / "agent").mkdir()
        (data / "server").mkdir()
        if IS_ROOT:
            for d in ("agent", "server"):
                os.chown(data / d, 65534, 65534)
        self.as_user = NOBODY if IS_ROOT else []
        self.url = None
        self.port = 0
        self.server = self.agent = self.helper = None

    def start_server(self):
        self.server = self.procs.start(
            self.as_user + [self.parts / "resin", "server", f"--data={self.data}/server",
                            f"--config={self.data}/resin.conf",
                            f"--listen=127.0.0.1:{self.port}"], stderr=self.log)
        self.url = self.server.stdout.readline().strip()
        assert self.url, self.read_log()
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])
        self.url = self.url.rstrip("/")

    def start_helper(self, **env):
        self.helper = self.procs.start(
            [self.parts / "resin-helper", f"--listen={self.helper_socket}", "--uid=65534",
             f"--policy={self.data}/policy.conf", f"--stage={self.data}/stage"],
            stderr=self.log, env={**os.environ, **env})
        wait_until(self.helper_socket.exists, 5)

    def start_agent(self):
        self.agent = self.procs.start(
            self.as_user + [self.parts / "resin-agent", f"--config={self.data}/resin.conf",
                            "--set", f"server={self.url}",
                            "--set", f"token={self.data}/server/token",
                            "--set", f"helper={self.helper_socket}",
                            "--set", f"policy={self.data}/policy.conf",
                            "--set", f"state={self.data}/agent"], stderr=self.log)

    def start(self):
        self.start_server()
        self.start_helper()
        self.start_agent()
        return self

    def read_log(self):
        self.log.flush()
        return (self.data / "log").read_text()

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as r:
            return json.load(r)

    def tickets(self):
        return self.get("/v1/tickets?all=1")["tickets"]

    def process(self, pid):
        for p in self.get("/v1/top?limit=10000")["processes"]:
            if p["pid"] == pid:
                return p

    def cli(self, *args, **kw):
        return run_cli(self.parts, *args, f"--server={self.url}", **kw)


def run_cli(parts, *args, as_user=(), timeout=120, **kw):
    return subprocess.run([*as_user, str(parts / "resin"), *map(str, args)], text=True,
                          capture_output=True, timeout=timeout, **kw)


@pytest.fixture
def resin(procs, parts, tmp_path_factory):
    data = pathlib.Path(tempfile.mkdtemp(prefix="resin-data-"))
    yield lambda **kw: Resin(procs, parts, data, **kw)
    procs.stop_all()
    shutil.rmtree(data, ignore_errors=True)
