"""The first leak caught end to end, beside two look-alikes; the project's main promise."""
import os
import random
import subprocess
import time

import pytest

from conftest import BUILD, ROOT, tracer_of, wait_until

SEEDS = [int(s) for s in os.environ.get("RESIN_SEEDS", "").split()] or None


def seeds():
    """Two in every run, never the same two; RESIN_SEEDS names them to repeat a failure."""
    return SEEDS or random.SystemRandom().sample(range(1, 1_000_000), 2)


def build_server(path, **macros):
    defines = [f"-D{k}={v}" for k, v in macros.items()]
    subprocess.run(["gcc", "-O2", "-g", "-pthread", *defines, "-o", path,
                    ROOT / "tests/leakers/kv-server.c"], check=True)
    path.chmod(0o755)


class Scene:
    """A leaker with random properties, a cache that fills, a sawtooth."""

    def __init__(self, seed, folder):
        r = random.Random(seed)
        self.function = "f_" + "".join(r.choice("abcdefghijklmnop") for _ in range(10))
        self.verb = r.choice(["SET", "GET", "DEL", "STAT"])
        self.object_bytes = int(2 ** r.uniform(9.5, 14.5))
        self.rate = 1200
        self.leak_rate = r.uniform(0.4e6, 2.0e6)  # bytes a second
        # A quarter of the requests takes each path.
        self.every = max(1, round(self.rate / 4 * self.object_bytes / self.leak_rate))
        self.leaker = folder / f"leaker-{seed}"
        self.cache = folder / f"cache-{seed}"
        self.sawtooth = folder / f"sawtooth-{seed}"
        build_server(self.leaker, LEAK_FUNCTION=self.function, LEAK_PATH=f'"{self.verb}"',
                     LEAK_BYTES=self.object_bytes, LEAK_EVERY=self.every)
        build_server(self.cache, LEAK_EVERY=0)
        build_server(self.sawtooth, LEAK_EVERY=0)

    def __repr__(self):
        return (f"{self.function} leaks {self.object_bytes} bytes on every {self.every}th "
                f"{self.verb}")


@pytest.mark.parametrize("seed", seeds())
def test_leak_is_named_and_look_alikes_are_not(seed, resin, procs, parts):
    scene = Scene(seed, parts)
    print(scene)
    r = resin().start()
    servers, clients = {}, {}
    for name, binary, mix in (
            ("leaker", scene.leaker, [str(scene.rate), "kv"]),
            # 12,000 keys of 16 KiB at 350 a second: fills with a time constant of 34 s to 190 MB.
            ("cache", scene.cache, ["350", "fill", "12000", "16384"]),
            # More allocations than the leaker makes, in teeth of 8 s and 48 MB.
            ("sawtooth", scene.sawtooth, ["3000", "batch", "1", "2048"])):
        servers[name] = procs.start([binary])
        port = servers[name].stdout.readline().strip()
        clients[name] = procs.start([parts / "resin-demo-client", port, "0", *mix])
    leaker = servers["leaker"].pid

    ticket = wait_until(r.tickets, 110, every=0.5, why=f"no ticket; {r.process(leaker)}")[0]
    assert ticket["pid"] == leaker
    at_ticket = {n: r.process(s.pid)["anon_bytes"] for n, s in servers.items()}
    # The look-alikes are what they claim to be: larger than the leak, and still at it.
    assert at_ticket["cache"] > ticket["suspect"]["growth_bytes"]
    time.sleep(3)
    assert r.process(servers["cache"].pid)["anon_bytes"] > at_ticket["cache"]

    def diagnosed():
        t = r.get(f"/v1/tickets/{ticket['id']}")
        assert t["state"] != "undiagnosed", t
        return t["state"] == "diagnosed" and t

    ticket = wait_until(diagnosed, 60, every=0.5, why=r.read_log())
    finding = ticket["diagnosis"]["findings"][0]
    assert finding["kind"] == "leak", finding
    assert finding["frames"][0]["function"] == scene.function
    assert finding["frames"][0]["file"].endswith("kv-server.c")
    assert finding["frames"][0]["line"] > 0
    assert finding["share"] > 0.8, finding
    assert scene.function in ticket["headline"]
    assert ticket["version"]

    time.sleep(12)  # long enough for a second ticket, if there were to be one
    tickets = r.tickets()
    assert [t["pid"] for t in tickets] == [leaker], tickets
    assert tracer_of(leaker) == 0
    for name, client in clients.items():
        out = procs.stop(client)
        assert client.returncode == 0 and " ERRORS 0 " in out, (name, out)
    shown = r.cli("ticket", "show", ticket["id"])
    assert shown.returncode == 0 and scene.function in shown.stdout
    assert str(leaker) in r.cli("ticket", "list").stdout
    assert str(leaker) in r.cli("top").stdout
