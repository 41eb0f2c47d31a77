"""resin detect and resin explain: verdicts on generated series, every format, bad rows, pictures."""
import csv
import io
import json
import math
import random
import subprocess
import threading
import time
import xml.dom.minidom
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from conftest import run_cli

T0 = 1_780_000_000 // 86400 * 86400
DAYS = 14


def series():
    """(host, component, process) -> value of an hour, bytes. One leaks, from hour 120 on."""
    noise = random.Random(7)

    def around(x, part=0.01):
        return x * (1 + part * noise.gauss(0, 1))

    return {
        ("web-1", "kv-server", "100"): lambda h: around(4e8) + max(0, h - 120) * 1.2e6,
        ("web-2", "kv-server", "200"): lambda h: around(4e8),
        ("web-1", "cache", "101"): lambda h: around(2e8) + 3e8 * (1 - math.exp(-h / 40)),
        ("web-1", "batch", "102"): lambda h: around(3e8 * (1 + 0.3 * math.sin(h * math.pi / 12))),
        ("web-2", "config", "201"): lambda h: around(2e8 if h < 200 else 3e8),
        ("web-2", "gc", "202"): lambda h: around(2e8) + h % 9 * 2e7,
    }


def rows(hours=DAYS * 24):
    what = series()
    for h in range(hours):
        for (host, component, process), value in what.items():
            for q in range(2):
                yield {"time": T0 + h * 3600 + q * 1800, "host": host, "component": component,
                       "process": process, "bytes": int(value(h)), "limit_bytes": 1 << 30}


def as_csv(table):
    table = list(table)
    out = io.StringIO()
    w = csv.DictWriter(out, table[0])
    w.writeheader()
    w.writerows(table)
    return out.getvalue()


@pytest.fixture(scope="module")
def data():
    return list(rows())


def detect(parts, *args, stdin=None, **kw):
    return run_cli(parts, "detect", *args, input=stdin, **kw)


def judged(r):
    assert r.returncode == 0, r.stderr
    d = json.loads(r.stdout)
    assert d["schema"] == "resin.detection/1"
    return d, {(e["host"], e["component"]): e for e in d["entities"]}


def test_what_leaks_is_found_and_what_does_not_is_explained(parts, data, tmp_path):
    f = tmp_path / "memory.csv"
    f.write_text(as_csv(data))
    d, by = judged(detect(parts, f, "--json"))
    assert d["rows"] == len(data) and d["skipped_rows"] == 0
    leak = by["web-1", "kv-server"]
    assert d["entities"][0] == leak
    assert leak["verdict"] == leak["behaviour"] == "leak" and leak["pattern"] == "steady"
    assert leak["process"] == "100" and leak["reasons"]
    assert leak["rate_bytes_per_hour_low"] < 1.2e6 < leak["rate_bytes_per_hour_high"]
    alarm = time.mktime(time.strptime(leak["first_alarm"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    assert T0 + 120 * 3600 < alarm < T0 + 168 * 3600
    left = ((1 << 30) - leak["size_bytes"]) / 1.2e6
    assert leak["forecast"]["hours_low"] < left < leak["forecast"]["hours_high"]
    assert [k for k, e in by.items() if e["verdict"] == "leak"] == [("web-1", "kv-server")]
    assert by["web-2", "config"]["behaviour"] == "step"
    assert by["web-2", "gc"]["behaviour"] == "sawtooth"
    assert by["web-2", "kv-server"]["behaviour"] == "flat"


def test_order_duplicates_and_formats_change_nothing(parts, data):
    plain = json.loads(detect(parts, "-", "--json", stdin=as_csv(data)).stdout)["entities"]
    mixed = data + data[:500]
    random.Random(3).shuffle(mixed)
    lines = "".join(json.dumps(r) + "\n" for r in mixed)
    for text in (as_csv(mixed), lines):
        again = json.loads(detect(parts, "-", "--json", stdin=text).stdout)["entities"]
        # Equal ones may stand in another order: names are numbered as they come.
        key = lambda e: (e["host"], e["component"])
        assert sorted(again, key=key) == sorted(plain, key=key)


def test_table_exit_code_and_explain(parts, data):
    text = as_csv(data)
    r = detect(parts, "-", "--exit-code", stdin=text)
    assert r.returncode == 1 and "kv-server" in r.stdout and "cache" not in r.stdout
    assert "1 to be called a leak" in r.stdout
    assert all(len(line) <= 120 for line in r.stdout.splitlines())
    r = detect(parts, "-", "--all", stdin=text)
    assert r.returncode == 0 and "cache" in r.stdout and "steps explain it" in r.stdout
    r = run_cli(parts, "explain", "-", "--component=kv-server", "--host=web-1", input=text)
    assert r.returncode == 0 and "first called a leak" in r.stdout and "OVER STEPS" in r.stdout
    r = run_cli(parts, "explain", "-", "--component=nobody", input=text)
    assert r.returncode == 3 and "no entity" in r.stderr


def test_pictures(parts, data, tmp_path):
    folder = tmp_path / "pictures"
    r = detect(parts, "-", f"--plot={folder}", stdin=as_csv(data))
    assert r.returncode == 0, r.stderr
    files = list(folder.glob("*.svg"))
    assert len(files) >= 1 and any("kv-server" in f.name for f in files)
    for f in files:
        assert xml.dom.minidom.parse(str(f)).documentElement.tagName == "svg"


def test_a_column_for_each_series(parts):
    what = series()
    names = [f"{h}-{c}" for h, c, _ in what]
    lines = ["when," + ",".join(names)]
    lines += [f"{T0 + h * 3600}," + ",".join(str(int(v(h))) for v in what.values())
              for h in range(DAYS * 24)]
    r = detect(parts, "-", "--format=wide", "--time-column=when", "--value-columns=*", "--json",
               stdin="\n".join(lines) + "\n")
    _, by = judged(r)
    assert by["-", "web-1-kv-server"]["verdict"] == "leak"
    assert len([e for e in by.values() if e["verdict"] == "leak"]) == 1


def test_restarts_are_lives(parts):
    noise = random.Random(9)
    table = [{"time": T0 + h * 3600, "host": "a", "component": "worker", "process": h // 60,
              "bytes": int(1e8 + noise.gauss(0, 5e5))} for h in range(300)]
    _, by = judged(detect(parts, "-", "--json", stdin=as_csv(table)))
    assert by["a", "worker"]["lives"] == 5 and by["a", "worker"]["process"] == "4"


def test_many_lives_within_an_hour_are_passed_over(parts):
    """A job that is started every minute beside what lives on."""
    noise = random.Random(3)
    table = [{"time": T0 + h * 3600 + m * 60, "host": "a", "component": "job",
              "process": h * 60 + m, "bytes": int(2e7 + noise.gauss(0, 1e5))}
             for h in range(100) for m in range(60)]
    _, by = judged(detect(parts, "-", "--json", stdin=as_csv(table)))
    assert by["a", "job"]["lives"] == 6000
    assert by["a", "job"]["verdict"] == "unknown"
    assert "its process is 1 h old" in by["a", "job"]["reasons"][0]


def test_a_clock_that_was_wrong_at_first(parts):
    """Two samples of 1970, before the time was known, must not cost the series."""
    noise = random.Random(4)
    table = [{"time": t, "host": "a", "component": "c", "process": 1, "bytes": 10**8}
             for t in (60, 120)]
    table += [{"time": T0 + h * 3600, "host": "a", "component": "c", "process": 1,
               "bytes": int(1e8 + noise.gauss(0, 5e5) + max(0, h - 120) * 1e6)}
              for h in range(300)]
    d, by = judged(detect(parts, "-", "--json", stdin=as_csv(table)))
    assert by["a", "c"]["verdict"] == "leak" and d["skipped_rows"] == 2


def test_kernel_entities_go_through_the_same_code(parts):
    """Slab caches and cgroups are components like any other."""
    noise = random.Random(5)
    grows = {"slab:dentry": 0, "slab:kmalloc-64": 4e5, "cgroup:/system.slice/cron.service": 0}
    table = [{"time": T0 + h * 3600, "host": "a", "component": c, "process": "",
              "bytes": int(3e7 + noise.gauss(0, 2e5) + max(0, h - 100) * g)}
             for h in range(300) for c, g in grows.items()]
    _, by = judged(detect(parts, "-", "--json", stdin=as_csv(table)))
    assert {c: by["a", c]["verdict"] for c in grows} == {
        "slab:dentry": "ok", "slab:kmalloc-64": "leak", "cgroup:/system.slice/cron.service": "ok"}


def test_a_full_disk_is_said(parts, data):
    with open("/dev/full", "w") as full:
        r = subprocess.run([parts / "resin", "detect", "-", "--json"], input=as_csv(data), text=True,
                           stdout=full, stderr=subprocess.PIPE)
    assert r.returncode == 3 and "standard output" in r.stderr


def test_bad_rows_are_named_and_lose_nothing_else(parts, data):
    lines = as_csv(data).splitlines()
    at = len(lines)
    t = f"{T0},web-9,x,1"
    lines += [f"{t},-5,0", f"{t},nan,0", f"{t},1e30,0", f"{t},abc,0", "yesterday,web-9,x,1,5,0", f"{t}"]
    r = detect(parts, "-", "--json", stdin="\n".join(lines) + "\n")
    d, by = judged(r)
    assert d["skipped_rows"] == 6 and d["rows"] == len(data)
    assert ("web-9", "x") not in by and by["web-1", "kv-server"]["verdict"] == "leak"
    for i in range(6):
        assert f"line {at + 1 + i}:" in r.stderr, r.stderr
    assert "negative" in r.stderr


@pytest.mark.parametrize("text", ["time,host,component,bytes\n5,a,b,7\n", "time,host,component,bytes\n"])
def test_one_point_or_none(text, parts):
    d, by = judged(detect(parts, "-", "--json", stdin=text))
    assert all(e["verdict"] == "unknown" and e["reasons"] for e in by.values())
    assert len(by) == text.count("\n") - 1


@pytest.mark.parametrize("args, text, said", [
    (["-"], "time,host\n1,2\n", "bytes"),
    (["/nonexistent.csv"], "", "/nonexistent.csv"),
    (["-", "--format=prometheus"], '{"status":"error","error":"no such metric"}', "no such metric"),
    (["--prometheus=http://127.0.0.1:1", "--query=up"], "", "127.0.0.1:1"),
    (["-", "--plot=/proc/nope"], "time,bytes\n1,2\n", "/proc/nope")])
def test_what_cannot_be_read(args, text, said, parts):
    r = detect(parts, *args, stdin=text)
    assert r.returncode == 3 and said in r.stderr and r.stderr.startswith("resin: "), r


def test_a_prometheus_is_asked(parts):
    what = series()
    hits = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            hits.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            now = int(time.time())
            result = [{"metric": {"__name__": "m", "instance": h, "groupname": c, "pid": p},
                       "values": [[now - (DAYS * 24 - i) * 3600, str(v(i))]
                                  for i in range(DAYS * 24)]} for (h, c, p), v in what.items()]
            body = json.dumps({"status": "success", "data": {"resultType": "matrix",
                                                             "result": result}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    r = detect(parts, f"--prometheus=http://127.0.0.1:{server.server_port}", "--query=m", "--json")
    server.shutdown()
    _, by = judged(r)
    assert len(hits) == 1 and "query=m" in hits[0]
    assert [k for k, e in by.items() if e["verdict"] == "leak"] == [("web-1", "kv-server")]


def test_a_real_program_in_two_minutes_of_seconds(parts):
    """With --hour=1s: a real process that forgets 200 KB twice a second, beside one that does not."""
    leaky = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(%d))\n    time.sleep(0.5)\n"
    procs = {name: subprocess.Popen(["/usr/bin/python3", "-c", leaky % n])
             for name, n in (("leaky", 200_000), ("idle", 0))}
    lines = ["time,host,component,process,bytes"]
    until = time.time() + 100
    try:
        while time.time() < until:
            for name, p in procs.items():
                status = open(f"/proc/{p.pid}/status").read()
                kb = int(status.split("RssAnon:")[1].split()[0])
                lines.append(f"{time.time():.3f},here,{name},{p.pid},{kb * 1024}")
            time.sleep(0.25)
    finally:
        for p in procs.values():
            p.kill()
            p.wait()
    _, by = judged(detect(parts, "-", "--hour=1s", "--json", stdin="\n".join(lines) + "\n"))
    assert by["here", "leaky"]["verdict"] == "leak", by
    assert by["here", "idle"]["verdict"] == "ok", by
    rate = by["here", "leaky"]["rate_bytes_per_hour"] / 3600
    assert 300_000 < rate < 500_000
