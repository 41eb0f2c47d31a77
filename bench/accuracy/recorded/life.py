"""A program under a load that looks like life, and its memory hour by hour."""
import argparse
import ctypes
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback

SLOTS = 10  # of requests in an hour, with a sample at the end of each
OPTIONS = argparse.Namespace(hour=0.5, hours=336, node="node", verbose=False)


def die_with_parent(sig):
    ctypes.CDLL(None).prctl(1, sig)  # PR_SET_PDEATHSIG


def anonymous_bytes(pid):
    total = 0
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith(("RssAnon:", "VmSwap:")):
                    total += int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return total


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def tree_bytes(pid):
    return anonymous_bytes(pid) + sum(tree_bytes(p) for p in children(pid))


# --- life -----------------------------------------------------------------------------------------

def zipf(rng, n):
    """Popular ones first, roughly in proportion to one over their rank."""
    return int(n ** rng.random()) - 1


def life(rng, base, hours, weekend, bursts):
    """Expected requests of each hour: days, perhaps weeks, noise, bursts."""
    rate, burst = [], 0
    for h in range(hours):
        r = base * (1 + 0.55 * math.sin(2 * math.pi * (h % 24 - 9) / 24)) * math.exp(rng.gauss(0, 0.12))
        if weekend and h // 24 % 7 in (5, 6):
            r *= 0.65
        if not burst and bursts and rng.random() < 1 / 50:
            burst = rng.randint(1, 3)
        if burst:
            burst -= 1
            r *= rng.uniform(2, 3.5)
        rate.append(r)
    return rate


class Subject:
    """One program, its load and its leak. A subclass starts it, sends requests and leaks."""
    program, object_bytes, rate = "", 2048, 60

    def __init__(self, component, host, how, leak=None, weekend=False, bursts=True, events=(), **more):
        self.component, self.host, self.how = component, host, how
        # (start hour, bytes a day, "steady" | "load" | "stair", hours between stairs)
        self.leak = leak
        self.rng = random.Random(f"{component} {host}")
        self.expected = life(self.rng, more.pop("rate", self.rate), OPTIONS.hours, weekend, bursts)
        self.mean = sum(self.expected) / len(self.expected)
        self.object_bytes = more.pop("object", self.object_bytes)
        self.events = dict(events)
        self.more = more
        self.life, self.version, self.owed, self.leaked, self.late = 1, 1, 0.0, 0, 0
        self.process = None
        self.folder = ""

    # What subclasses have.
    def start(self):
        raise NotImplementedError

    def warm(self):
        pass

    def request(self, n, hour):
        raise NotImplementedError

    def forget(self, n):
        raise NotImplementedError

    def memory(self):
        return anonymous_bytes(self.process.pid)

    # What drives them.
    def spawn(self, *command, env=None, user=None, sig=signal.SIGKILL, output=None):
        self.process = subprocess.Popen(
            [str(c) for c in command], stdout=output or subprocess.DEVNULL, cwd=self.folder,
            stderr=None if OPTIONS.verbose else subprocess.DEVNULL, user=user,
            group=user, extra_groups=[] if user else None, env={**os.environ, **(env or {})},
            start_new_session=True, preexec_fn=lambda: die_with_parent(sig))
        self.sig = sig

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.sig)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def restart(self):
        self.stop()
        self.life += 1
        self.start()

    def deploy(self, **more):
        self.more.update(more)
        self.version += 1
        self.restart()

    def leak_now(self, hour, slot, sent):
        start, a_day, shape, *every = self.leak
        if hour < start:
            return
        if shape == "steady":
            self.owed += a_day / 24 / SLOTS
        elif shape == "load":
            self.owed += a_day / 24 * sent / self.mean
        elif (hour - start) % every[0] == 0 and slot == 0:
            self.owed += a_day * every[0] / 24
        n = int(self.owed // self.object_bytes)
        if n:
            self.forget(n)
            self.owed -= n * self.object_bytes
            self.leaked += n * self.object_bytes

    def record(self, go):
        rows, slot_s = [], OPTIONS.hour / SLOTS
        for hour in range(OPTIONS.hours):
            least, sent_all = 0, 0
            if hour in self.events:
                self.events[hour](self)
            for slot in range(SLOTS):
                end = go + hour * OPTIONS.hour + (slot + 1) * slot_s
                if time.monotonic() > end:
                    self.late += 1  # its requests are lost, as they are where a service hangs
                    if slot < SLOTS - 1 or least:
                        continue
                else:
                    due = self.expected[hour] / SLOTS
                    n = int(due + self.rng.random() + self.rng.gauss(0, 0.3) * math.sqrt(due))
                    if n > 0:
                        self.request(n, hour)
                        sent_all += n
                    if self.leak:
                        self.leak_now(hour, slot, n)
                    time.sleep(max(0, end - time.monotonic()))
                seen = self.memory()
                least = min(least or seen, seen)
            if least:
                rows.append((hour * 3600, self.host, self.component, self.life, self.version, least,
                             sent_all))
        return rows

    def run(self, pipe):
        """In a process of its own."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        die_with_parent(signal.SIGTERM)
        with tempfile.TemporaryDirectory(prefix="resin-record-") as self.folder:
            os.chmod(self.folder, 0o777)
            try:
                self.start()
                self.warm()
                pipe.send("ready")
                go = pipe.recv()
                time.sleep(max(0, go - time.monotonic()))
                rows = self.record(go)
                pipe.send((rows, self.leaked, self.late))
            except Exception:
                traceback.print_exc()
                pipe.send(None)
            finally:
                self.stop()
