"""What grows slowly: real processes, watched hour by hour, with hours of half a second."""
import json
import shutil
import sys
import time

from conftest import wait_until
from test_page import browse

CONFIG = "[detect]\nmin_steps = 700\nhour = 500ms\n"
HOUR = 0.5

# Half a minute of nothing, then 0.6 MiB an hour for good; bytes that are touched.
LEAKER = """
import time
kept, n = [bytearray(b"x" * (40 << 20))], 0
start = time.monotonic()
while True:
    time.sleep(0.05)
    due = (time.monotonic() - start - 30) / 0.5 * 0.6
    while n * 0.06 < due:
        kept.append(bytearray(b"x" * 62915))
        n += 1
"""
# Fills for seven hours and gives it all back.
SAWTOOTH = """
import time
base, n = bytearray(b"x" * (30 << 20)), 0
kept = []
while True:
    time.sleep(0.05)
    n += 1
    kept.append(bytearray(b"x" * (200 << 10)))
    if n % 70 == 0:
        kept.clear()
"""


def start_python(procs, tmp_path, name, text):
    """Under a name of its own: a component is named after its executable."""
    exe = tmp_path / name
    shutil.copy(sys.executable, exe)
    # Large blocks go back to the kernel at once, so that troughs are troughs.
    return procs.start([exe, "-c", text], env={"MALLOC_MMAP_THRESHOLD_": "32768",
                                               "PYTHONHOME": sys.prefix})


def test_hours_open_a_ticket_though_the_server_was_killed(resin, procs, tmp_path):
    r = resin(policy=None, config=CONFIG).start()
    wait_until(lambda: r.get("/v1/status")["batches"] > 12, 20)
    leaker = start_python(procs, tmp_path, "slow-leaker", LEAKER)
    sawtooth = start_python(procs, tmp_path, "sawtooth", SAWTOOTH)
    wait_until(lambda: r.process(leaker.pid) and r.process(leaker.pid)["detection"], 20)

    time.sleep(36)
    weeks = r.get(f"/v1/weeks/{r.process(leaker.pid)['entity']}")
    r.server.kill()
    r.server.wait()
    r.start_server()
    again = wait_until(lambda: r.process(leaker.pid), 10)
    again = r.get(f"/v1/weeks/{again['entity']}")
    # All hours that were over are still known, and look as they did.
    assert again["hours"] >= weeks["hours"] > 50
    shift = again["hours"] - weeks["hours"]
    assert again["minima"][:-shift or None][-40:] == weeks["minima"][-40:]

    ours = lambda: [t for t in r.tickets() if t["pid"] == leaker.pid]
    ticket = wait_until(ours, 60, why=r.cli("top").stdout)[0]
    assert ticket["seen_by"] == "hours"
    assert ticket["component"] == "slow-leaker"
    d = ticket["detection"]
    assert (d["verdict"], d["behaviour"]) == ("leak", "leak")
    # 0.6 MiB in half a second is 4.2 GiB in a real hour.
    assert 0.6 < d["rate_bytes_per_hour"] / (0.6 * 2**20 * 7200) < 1.6
    assert d["forecast"]["limit_bytes"] > 2**28  # the host's memory
    assert not [t for t in r.tickets() if t["pid"] == sawtooth.pid]

    shown = r.cli("ticket", "show", ticket["id"]).stdout
    assert "seen by its hours" in shown and "standard errors" in shown
    explained = r.cli("explain", f"--ticket={ticket['id']}")
    assert explained.returncode == 0 and "leaking" in explained.stdout
    as_json = json.loads(r.cli("explain", f"--ticket={ticket['id']}", "--json").stdout)
    assert as_json["schema"] == "resin.weeks/1" and as_json["hours"] > 60
    top = r.cli("top", "--limit=1000").stdout
    assert "WEEKS" in top and "slow-leaker" in top
    fleet = r.cli("fleet", "--limit=1000")
    assert "slow-leaker" in fleet.stdout and "few-hosts" in fleet.stdout

    # The page draws its weeks, not its minutes.
    dom = browse(f"{r.url}/#/ticket/{ticket['id']}", "--dump-dom")
    assert "its hours" in dom and "standard errors" in dom and "<svg" in dom

    # A clean stop and start changes nothing.
    procs.stop(r.server)
    r.start_server()
    assert [t["id"] for t in ours()] == [ticket["id"]]
