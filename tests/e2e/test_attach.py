"""Attaching: what is refused, and that nothing is ever disturbed."""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import BUILD, NOBODY, ROOT, needs_root, run_cli, tracer_of, wait_until

FAULTS = ["inject.before-stop", "inject.stopped", "call.frame-written", "call.registers-set",
          "call.signals-blocked", "call.running", "session.before-load", "session.loaded",
          "session.started", "profiling.sampling", "session.before-stop", "session.stopped"]
MODES = ["vector", "spin", "epoll", "read", "sleep", "poll", "cond", "fork", "malloc", "signals"]


def start_victim(procs, victim, mode):
    p = procs.start([victim, mode])
    assert p.stdout.readline() == "ready\n"
    return p


def diagnose(parts, pid, *args, **kw):
    return run_cli(parts, "diagnose", pid, "--duration=1s", *args, **kw)


def assert_fine(procs, p):
    out = procs.stop(p)
    assert p.returncode == 0 and out.startswith("fine "), (p.returncode, out)
    assert int(out.split()[1]) > 0, out


def test_every_fault_point_of_the_code_is_in_the_list():
    found = set()
    for f in (ROOT / "src").rglob("*.c"):
        for part in f.read_text().split('fault_point("')[1:]:
            found.add(part.split('"')[0])
    assert found == set(FAULTS)
    doc = (ROOT / "docs/internals/faults.md").read_text()
    assert all(f"`{name}`" in doc for name in FAULTS)


@pytest.mark.parametrize("mode", MODES)
def test_a_look_disturbs_nothing(mode, procs, parts, victim):
    p = start_victim(procs, victim, mode)
    for _ in range(3):
        r = diagnose(parts, p.pid, "--json", "--period=4K")
        assert r.returncode == 0, r.stderr
        d = json.loads(r.stdout)
        assert d["schema"] == "resin.diagnosis/1" and d["pid"] == p.pid
        # Those that wait most of the time allocate 22 KB in a fifth of a second.
        assert d["events"] > 0 or mode not in ("malloc", "fork", "signals"), d
        assert "0 of" not in r.stderr.split("detached:")[-1], r.stderr
    assert tracer_of(p.pid) == 0
    assert_fine(procs, p)


# Where the probe is at work when the helper dies: others have to wait for its lease to end.
LEASED = ["session.started", "profiling.sampling", "session.before-stop"]
# Passed only while the probe is loaded for the first time.
FIRST_ONLY = ["session.loaded"]


@pytest.mark.parametrize("fault", FAULTS)
def test_helper_killed_at_any_point(fault, procs, parts, victim):
    """Twice: when the probe is loaded for the first time, and when it is there already."""
    env = {**os.environ, "RESIN_FAULT": f"{fault}:kill"}
    targets = [start_victim(procs, victim, mode) for mode in ("malloc", "epoll", "vector")]
    for again in range(2):
        for p in targets:
            r = diagnose(parts, p.pid, env=env)
            if again and fault in FIRST_ONLY:
                assert r.returncode == 0, (fault, r)
                continue
            if again and fault in LEASED:
                assert r.returncode == 5 and "by somebody else" in r.stderr, (fault, r)
                continue
            assert r.returncode == 3 and "ended early" in r.stderr, (fault, r)
            time.sleep(0.1)
            assert p.poll() is None, (fault, again, procs.stop(p))
            assert tracer_of(p.pid) == 0

    def looked_again(p):
        r = diagnose(parts, p.pid)
        assert r.returncode in (0, 5), (fault, r)
        return r.returncode == 0

    for p in targets:
        wait_until(lambda: looked_again(p), 15, every=1, why="the lease never ended")
        assert hooked_pointers(p.pid) == 0
        assert_fine(procs, p)


def test_probe_takes_itself_out_when_nobody_renews_its_lease(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    diagnose(parts, p.pid, env={**os.environ, "RESIN_FAULT": "profiling.sampling:kill"})
    hooked = hooked_pointers(p.pid)
    assert hooked > 0
    wait_until(lambda: hooked_pointers(p.pid) == 0, 14, why="pointers are still redirected")
    assert_fine(procs, p)


def probe_state(pid):
    """Address of the state in the probe's control block, through the target's own mappings."""
    for line in open(f"/proc/{pid}/maps"):
        part = line.split(maxsplit=5)
        if len(part) > 5 and "libresin-probe" in part[5] and int(part[2], 16) == 0:
            base, file = int(part[0].split("-")[0], 16), part[5].strip()
            break
    for line in subprocess.check_output(["nm", "-D", file], text=True).splitlines():
        if line.endswith(" resin_probe_control"):
            return base + int(line.split()[0], 16) + 12


@pytest.mark.parametrize("state", [1, 3], ids=["starting", "stopping"])
def test_an_old_session_that_is_just_ending_is_waited_for(state, procs, parts, victim):
    """CI met it once: the target took an old session out while the next helper came."""
    p = start_victim(procs, victim, "malloc")
    assert diagnose(parts, p.pid).returncode == 0
    at = probe_state(p.pid)

    def write(value):
        with open(f"/proc/{p.pid}/mem", "r+b", buffering=0) as mem:
            mem.seek(at)
            assert int.from_bytes(mem.read(4), "little") in (state, 4)
            mem.seek(at)
            mem.write(value.to_bytes(4, "little"))

    write(state)
    r = diagnose(parts, p.pid)
    assert r.returncode == 5 and "by somebody else" in r.stderr, r
    over = threading.Timer(1, write, [4])
    over.start()
    r = diagnose(parts, p.pid)
    assert r.returncode == 0, r
    over.join()
    assert_fine(procs, p)


def hooked_pointers(pid):
    """Words in writable or relocated data of the executable and libc that point into the probe."""
    maps = [l.split(maxsplit=5) for l in open(f"/proc/{pid}/maps")]
    probe = [tuple(int(x, 16) for x in m[0].split("-")) for m in maps
             if len(m) > 5 and "libresin-probe" in m[5] and "x" in m[1]]
    count = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for m in maps:
            if len(m) < 6 or "libresin-probe" in m[5] or not m[5].startswith("/"):
                continue
            if "x" in m[1] or not m[1].startswith("r"):
                continue
            lo, hi = (int(x, 16) for x in m[0].split("-"))
            mem.seek(lo)
            data = mem.read(hi - lo)
            for i in range(0, len(data) - 7, 8):
                v = int.from_bytes(data[i:i + 8], "little")
                count += any(a <= v < b for a, b in probe)
    return count


def test_every_pointer_is_put_back(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    assert diagnose(parts, p.pid).returncode == 0
    assert hooked_pointers(p.pid) == 0
    assert "libresin-probe" in open(f"/proc/{p.pid}/maps").read()  # inert, but mapped
    assert_fine(procs, p)


def test_interrupted_by_a_person(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    d = procs.start([parts / "resin", "diagnose", p.pid, "--duration=60s"], stderr=subprocess.PIPE)
    wait_until(lambda: hooked_pointers(p.pid) > 0, 5)
    d.send_signal(signal.SIGINT)
    assert d.wait(timeout=10) == 130
    assert hooked_pointers(p.pid) == 0
    assert_fine(procs, p)


# -- refusals: a reason, the documented exit status, an unharmed process -----------------------

def assert_refused(parts, pid, code, *words, as_user=()):
    for command in (["diagnose", pid, "--duration=1s"], ["check", pid]):
        r = run_cli(parts, *command, as_user=as_user)
        assert r.returncode == code, (command, r)
        text = r.stderr + r.stdout
        assert any(w in text for w in words), (command, text)


def test_no_such_process(parts):
    assert_refused(parts, 4194300, 6, "no process of that number", "is gone")


def test_process_that_ends_while_it_is_watched(procs, parts, victim):
    p = start_victim(procs, victim, "short")
    r = run_cli(parts, "diagnose", p.pid, "--duration=20s", "--json")
    assert r.returncode in (0, 6), r
    assert p.wait(timeout=5) == 0


def test_stopped_process(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    p.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T (stopped)" in open(f"/proc/{p.pid}/status").read(), 5)
    assert_refused(parts, p.pid, 5, "stopped")
    assert "T (stopped)" in open(f"/proc/{p.pid}/status").read()
    p.send_signal(signal.SIGCONT)
    time.sleep(0.1)
    assert_fine(procs, p)


def test_traced_process(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(0x4206, p.pid, 0, 0) == 0  # PTRACE_SEIZE
    try:
        assert_refused(parts, p.pid, 5, "another tracer")
        assert tracer_of(p.pid) == os.getpid()
    finally:
        libc.ptrace(0x4207, p.pid, 0, 0)  # PTRACE_INTERRUPT
        os.waitpid(p.pid, 0x40000000)
        libc.ptrace(17, p.pid, 0, 0)  # PTRACE_DETACH
    assert_fine(procs, p)


def build(folder, name, source, *args, cc="gcc"):
    src = folder / f"{name}.c"
    src.write_text(source)
    subprocess.run([cc, "-O1", "-o", folder / name, src, *args], check=True)
    return folder / name


SLEEPER = "#include <unistd.h>\nint main(void){for(;;)sleep(1);}\n"


def test_static_program(procs, parts, tmp_path):
    p = procs.start([build(tmp_path, "static", SLEEPER, "-static")])
    time.sleep(0.2)
    assert_refused(parts, p.pid, 5, "statically linked")
    assert p.poll() is None


def test_other_libc(procs, parts, tmp_path):
    p = procs.start([build(tmp_path, "musl", SLEEPER, cc="musl-gcc")])
    time.sleep(0.2)
    assert_refused(parts, p.pid, 5, "C library", "statically")
    assert p.poll() is None


def test_other_word_size(procs, parts, tmp_path):
    """A 32-bit program that loops in nanosleep, made without a 32-bit C library."""
    asm = tmp_path / "a.s"
    asm.write_text(""".globl _start
_start: movl $162,%eax
 movl $t,%ebx
 xorl %ecx,%ecx
 int $0x80
 jmp _start
.data
t: .long 1,0
""")
    subprocess.run(["as", "--32", "-o", tmp_path / "a.o", asm], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", tmp_path / "a32", tmp_path / "a.o"], check=True)
    try:
        p = procs.start([tmp_path / "a32"])
    except OSError:
        pytest.skip("THIS KERNEL RUNS NO 32-BIT PROGRAMS")
    time.sleep(0.2)
    if p.poll() is not None:
        pytest.skip("THIS KERNEL RUNS NO 32-BIT PROGRAMS")
    assert_refused(parts, p.pid, 5, "another architecture or word size")
    assert p.poll() is None


def test_seccomp_filter(procs, parts, victim):
    p = start_victim(procs, victim, "seccomp")
    assert_refused(parts, p.pid, 5, "seccomp")
    assert_fine(procs, p)


def test_sanitized_program(procs, parts, tmp_path):
    p = procs.start([build(tmp_path, "asan", SLEEPER, "-fsanitize=address")])
    time.sleep(0.5)
    assert_refused(parts, p.pid, 5, "sanitizer")


@needs_root
def test_other_mount_namespace(procs, parts, victim):
    p = procs.start(["unshare", "--mount", victim, "malloc"])
    assert p.stdout.readline() == "ready\n"
    assert_refused(parts, p.pid, 5, "mount namespace")
    assert_fine(procs, p)


@needs_root
def test_process_of_somebody_else(procs, parts, victim):
    p = start_victim(procs, victim, "malloc")
    assert_refused(parts, p.pid, 5, "belongs to somebody else", as_user=NOBODY)
    assert_fine(procs, p)


@needs_root
def test_ordinary_user_looks_at_an_own_process(procs, parts, victim):
    p = procs.start([*NOBODY, victim, "malloc"])
    assert p.stdout.readline() == "ready\n"
    r = run_cli(parts, "diagnose", p.pid, "--duration=1s", "--json", as_user=NOBODY)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)["events"] > 0
    assert_fine(procs, p)


@needs_root
def test_root_looks_at_a_user_who_cannot_read_the_build_folder(procs, parts, victim):
    """The probe is opened by the target, as its own user."""
    p = procs.start([*NOBODY, victim, "malloc"])
    assert p.stdout.readline() == "ready\n"
    hidden = pathlib.Path(tempfile.mkdtemp(prefix="resin-hidden-"))  # 0700
    try:
        for name in ("resin", "resin-helper", "libresin-probe.so"):
            shutil.copy(BUILD / name, hidden)
        r = run_cli(hidden, "diagnose", p.pid, "--duration=1s")
        assert r.returncode == 0, r.stderr
    finally:
        shutil.rmtree(hidden)
    assert_fine(procs, p)


def test_real_interpreter(procs, parts):
    """Python, which links its allocator differently from a small C program."""
    code = ("import time\nkeep=[]\nprint('ready',flush=True)\n"
            "while True:\n keep.append(bytearray(20000)); time.sleep(0.002)\n")
    p = procs.start(["/usr/bin/python3", "-c", code])
    assert p.stdout.readline() == "ready\n"
    r = run_cli(parts, "diagnose", p.pid, "--duration=3s", "--json")
    assert r.returncode == 0, r.stderr
    first = json.loads(r.stdout)["findings"][0]
    assert first["kind"] == "leak"
    assert any("PyByteArray" in (f["function"] or "") or "bytearray" in (f["function"] or "")
               for f in first["frames"]), first["frames"]
    assert p.poll() is None


def test_estimate_is_right(procs, parts):
    """What the probe says has leaked, against what the server says it did."""
    server = procs.start([parts / "resin-demo-server"])
    port = int(server.stdout.readline())
    procs.start([parts / "resin-demo-client", port, "0", "12000", "kv"])
    import socket
    with socket.create_connection(("127.0.0.1", port)) as s:
        f = s.makefile("rw")

        def leaked():  # every fourth request is a GET, every fourth GET forgets 4 KiB
            f.write("STAT\n")
            f.flush()
            return int(f.readline().split()[1]) / 16 * 4096
        time.sleep(0.5)
        ratios = []
        for _ in range(4):
            t0, before = time.monotonic(), leaked()
            d = json.loads(diagnose(parts, server.pid, "--json", "--duration=3s").stdout)
            rate = (leaked() - before) / (time.monotonic() - t0)
            ratios.append(d["findings"][0]["live_bytes"] / (rate * d["duration_ns"] / 1e9))
            assert d["findings"][0]["kind"] == "leak"
            assert d["findings"][0]["frames"][0]["function"] == "remember_request"
    # About 150 samples each, 600 in all: 4 %; the look's own start and end blur it by some more.
    assert 0.85 < sum(ratios) / 4 < 1.15, ratios
