#!/usr/bin/env python3
"""Records the memory of real programs under a load that looks like life, at high speed.

    record.py [--hour SECONDS] [--hours N] [--out DIR] [--node COMMAND] [--only WORD] [WAVE...]

An hour is half a second here. Each program has a driver of its own, which sends the hour's requests
in ten slots and reads the memory (RssAnon + VmSwap) at the end of each; the least value of an hour
is kept, with the number of requests. A wave is what runs at the same time. Writes WAVE.csv, and the
rows of that wave in truth.csv. Needs root, the Debian packages in PACKAGES, gcc and javac; README.md
says what is recorded. Every program is a child that dies with its driver, and listens on a socket in
a temporary folder or on a port that the kernel has chosen.
"""
import argparse
import csv
import datetime
import multiprocessing
import os
import subprocess
import sys
import time

from life import OPTIONS
from subjects import HERE, MIB, WAVES, JvmSubject, PgSubject

PACKAGES = {"redis": "redis-server", "node": "nodejs", "python": "python3.11", "kv-server": "libc6",
            "postgresql": "postgresql-15", "jvm": "openjdk-17-jre-headless", "nginx": "nginx"}
HELD_OUT = {"postgresql", "jvm", "nginx"}
TRUTH = ["program", "component", "host", "held_out", "leaks", "start_hour", "bytes_per_hour",
         "grown_per_hour", "how", "version", "date"]


def version_of(program):
    out = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", PACKAGES[program]], check=True,
                         capture_output=True, text=True).stdout
    if program == "node":  # the command may be another one than the package's
        out = subprocess.run([*OPTIONS.node.split(), "--version"], check=True, capture_output=True,
                             text=True).stdout.strip().lstrip("v")
    return out if program != "kv-server" else "libc6 " + out


def grown(rows, start):
    """Bytes an hour by which the hourly minimum has grown, from day to day; None after a restart."""
    rows = [r for r in rows if r[0] >= (start - 24) * 3600]
    if len(rows) < 72 or rows[0][3] != rows[-1][3]:
        return None
    size = [r[5] for r in rows]
    return (sum(size[-24:]) - sum(size[:24])) / 24 / (len(size) - 24)


def write_truth(out, program, rows):
    path = os.path.join(out, "truth.csv")
    old = []
    if os.path.exists(path):
        with open(path, encoding="ascii", newline="") as f:
            old = [r for r in csv.DictReader(f) if r["program"] != program]
    with open(path, "w", encoding="ascii", newline="") as f:
        w = csv.DictWriter(f, TRUTH, lineterminator="\n")
        w.writeheader()
        w.writerows(sorted(old + rows, key=lambda r: (r["program"], r["component"], r["host"])))


def run_wave(program, only):
    subjects = [s for s in WAVES[program]() if only in f"{s.component}/{s.host}"]
    kinds = [k for k in (PgSubject, JvmSubject) if any(isinstance(s, k) for s in subjects)]
    for k in kinds:
        k.prepare()
    running = []
    try:
        for s in subjects:
            here, there = multiprocessing.Pipe()
            p = multiprocessing.Process(target=s.run, args=(there,))
            p.start()
            running.append((s, p, here))
        for s, _, pipe in running:
            if pipe.recv() != "ready":
                raise RuntimeError(f"{s.component}/{s.host} did not start")
        print(f"{program}: {len(running)} programs for {OPTIONS.hours * OPTIONS.hour:.0f} s", file=sys.stderr)
        go = time.monotonic() + 0.5
        for _, _, pipe in running:
            pipe.send(go)
        result = []
        for s, _, pipe in running:
            got = pipe.recv()
            if not got:
                raise RuntimeError(f"{s.component}/{s.host} failed")
            result.append((s, *got))
        return result
    except BaseException:
        for _, p, _ in running:
            p.terminate()
        raise
    finally:
        for _, p, _ in running:
            p.join(20)
            if p.is_alive():
                p.kill()  # what it has started dies with it
        for k in kinds:
            k.clean_up()


def write_wave(program, result):
    version, date = version_of(program), datetime.date.today().isoformat()
    truth = []
    with open(os.path.join(OPTIONS.out, program + ".csv"), "w", encoding="ascii", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["time", "host", "component", "process", "version", "bytes", "requests"])
        for s, rows, leaked, late in result:
            w.writerows(rows)
            start = s.leak[0] if s.leak else 0
            g = grown(rows, start) if s.leak else None
            truth.append({
                "program": program, "component": s.component, "host": s.host, "version": version, "date": date,
                "held_out": int(program in HELD_OUT), "leaks": int(bool(s.leak)),
                "start_hour": start if s.leak else "", "how": s.how.replace(",", ";"),
                "bytes_per_hour": round(leaked / (OPTIONS.hours - start)) if s.leak else "",
                "grown_per_hour": "" if g is None else round(g)})
            sizes = [r[5] / MIB for r in rows]
            print(f"{s.component}/{s.host}: {sizes[0]:.1f} {sizes[len(sizes) // 2]:.1f} {sizes[-1]:.1f} MiB, "
                  f"{sum(r[6] for r in rows)} requests, leaked {leaked / MIB:.1f}, late slots {late}",
                  file=sys.stderr)
    write_truth(OPTIONS.out, program, truth)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--hour", type=float, default=0.5, help="seconds that stand for an hour")
    p.add_argument("--hours", type=int, default=336)
    p.add_argument("--out", default=HERE)
    p.add_argument("--node", default="node", help="command that runs Node")
    p.add_argument("--only", default="", help="only what has this in COMPONENT/HOST")
    p.add_argument("--verbose", action="store_true", help="show what the programs say")
    p.add_argument("wave", nargs="*", metavar="WAVE", help=", ".join(WAVES))
    p.parse_args(namespace=OPTIONS)
    for program in OPTIONS.wave or WAVES:
        write_wave(program, run_wave(program, OPTIONS.only))


if __name__ == "__main__":
    main()
