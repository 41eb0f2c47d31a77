"""Agent, helper and server when things go wrong between them."""
import http.server
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import IS_ROOT, needs_root, wait_until


def start_leaker(procs, parts):
    server = procs.start([parts / "resin-demo-server"])
    port = server.stdout.readline().strip()
    client = procs.start([parts / "resin-demo-client", port, "0", "1600", "kv"])
    return server, client


def test_server_not_there_yet(resin, procs):
    """The agent says so once, keeps what it can, and delivers all of it."""
    r = resin()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        r.port = s.getsockname()[1]
    r.url = f"http://127.0.0.1:{r.port}"
    # It needs the token, which the server makes at its first start.
    r.start_server()
    procs.stop(r.server)
    r.start_helper()
    r.start_agent()
    time.sleep(4)
    assert r.read_log().count("keeping up to") == 1
    r.start_server()
    wait_until(lambda: r.get("/v1/status")["batches"] > 40, 30, why=r.read_log())
    assert "answers again; 0 batches were lost" in r.read_log()
    assert r.get("/v1/status")["hosts"][0]["dropped_batches"] == 0


def steps_of(r, pid):
    p = r.process(pid)
    return p and r.get(f"/v1/series/{p['entity']}")["points"]


def test_server_killed_and_restarted(resin, procs, parts):
    """Nothing acknowledged is lost, nothing counted twice, and the second start finds the first's."""
    r = resin().start()
    target = procs.start(["sleep", "100"])
    wait_until(lambda: len(steps_of(r, target.pid) or []) >= 4, 20)
    before = steps_of(r, target.pid)
    r.server.kill()
    r.server.wait()
    time.sleep(2)
    r.start_server()
    wait_until(lambda: len(steps_of(r, target.pid) or []) >= len(before) + 4, 20)
    after = steps_of(r, target.pid)
    assert after[:len(before) - 1] == before[:-1]
    times = [p[0] for p in after]
    assert times == sorted(set(times))
    assert max(b - a for a, b in zip(times, times[1:])) <= 2000  # the queue filled the gap
    assert r.get("/v1/status")["rejected"] == 0


def test_agent_restarted(resin, procs, parts):
    r = resin().start()
    wait_until(lambda: r.get("/v1/status")["batches"] > 10, 20)
    r.agent.kill()
    r.agent.wait()
    n = r.get("/v1/status")["batches"]
    r.start_agent()
    wait_until(lambda: r.get("/v1/status")["batches"] > n + 10, 20)
    assert r.get("/v1/status")["duplicates"] <= 1


@needs_root
def test_agent_has_no_capability_and_learns_versions_from_the_helper(resin, procs):
    r = resin().start()

    def capabilities():
        status = open(f"/proc/{r.agent.pid}/status").read()
        return status.split("CapEff:")[1].split()[0] + status.split("Uid:")[1].split()[0]
    # (setpriv needs a moment to become the agent)
    wait_until(lambda: capabilities() == "0" * 16 + "65534", 5)
    # As that user, the executable of a root process is not to be seen ...
    look = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "readlink", f"/proc/{os.getpid()}/exe"], capture_output=True)
    assert look.returncode != 0
    # ... and yet its build-id arrives.
    target = procs.start(["sleep", "60"])
    wait_until(lambda: (r.process(target.pid) or {}).get("version"), 20, why=r.read_log())
    assert r.process(target.pid)["component"] == "sleep"


def test_policy_denies_by_default(resin, procs, parts):
    """No policy file: the ticket is there, the process is not touched, and the ticket says why."""
    r = resin(policy=None, config="[detect]\nmin_steps = 24\nwarm_up_steps = 2\n").start()
    server, client = start_leaker(procs, parts)
    ticket = wait_until(lambda: [t for t in r.tickets() if t["pid"] == server.pid], 70,
                        why=r.read_log())[0]
    wait_until(lambda: r.get(f"/v1/tickets/{ticket['id']}")["state"] == "undiagnosed", 15,
               why=r.read_log())
    ticket = r.get(f"/v1/tickets/{ticket['id']}")
    assert "no rule of the policy allows" in ticket["note"]
    assert [o["state"] for o in ticket["orders"]] == ["refused"]
    assert "libresin-probe" not in open(f"/proc/{server.pid}/maps").read()
    out = procs.stop(client)
    assert " ERRORS 0 " in out


def test_helper_asks_the_policy_itself(resin, procs, parts):
    """An agent that was taken over gets nothing out of the helper."""
    r = resin(policy="[profile]\nallow = /nowhere/*\n")
    r.start_helper()
    target = procs.start([parts / "resin-demo-server"])
    target.stdout.readline()
    answers = ask_helper(r, target.pid)
    assert answers[-1][0] == 20 and "no rule of the policy allows" in answers[-1][1], answers
    # An order of another boot, one that has expired, and one for a pid that was given away.
    (r.data / "policy.conf").write_text("[profile]\nallow = *\n")
    assert "gone" in ask_helper(r, target.pid, boot="x" * 36)[-1][1]
    assert "expired" in ask_helper(r, target.pid, expires=1)[-1][1]
    assert "gone" in ask_helper(r, target.pid, start=5)[-1][1]
    # A policy that anybody could have written is none.
    (r.data / "policy.conf").chmod(0o666)
    assert "must belong to root" in ask_helper(r, target.pid)[-1][1]
    assert "libresin-probe" not in open(f"/proc/{target.pid}/maps").read()


@pytest.mark.parametrize("garbage", [b"", b"RSH1", b"GET / HTTP/1.1\r\n\r\n", b"RSH1\xff\xff\xff\xff",
                                     b"RSH1\x04\x00\x00\x00\xff\xff\xff\xff",
                                     b"RSH1\x02\x00\x00\x00\x10\x02"])
def test_helper_survives_garbage(garbage, resin, procs):
    r = resin()
    r.start_helper()
    for _ in range(8):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(r.helper_socket))
            s.sendall(garbage)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(10)
            while s.recv(4096):
                pass
    assert r.helper.poll() is None


@needs_root
def test_helper_answers_nobody_else(resin, procs):
    r = resin()
    r.start_helper()
    os.chmod(r.helper_socket, 0o777)
    code = ("import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);"
            "print(s.recv(400))")
    out = subprocess.run(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups",
                          "/usr/bin/python3", "-c", code, r.helper_socket],
                         text=True, capture_output=True, timeout=20)
    assert "may not ask" in out.stdout, out


def test_orders_of_a_stranger_are_ignored(resin, procs):
    """Somebody else on the server's port can neither acknowledge nor order anything."""
    r = resin()
    r.start_server()
    procs.stop(r.server)
    seen = []

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            assert "token" not in str(self.headers).lower()
            self.send_response(200)
            self.send_header("X-Resin-Signature", "0" * 64)
            self.end_headers()
            self.wfile.write(b"\x08\x01\x18\x01")

        def log_message(self, *args):
            pass

    httpd = http.server.HTTPServer(("127.0.0.1", r.port), Stranger)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    r.start_helper()
    r.start_agent()
    wait_until(lambda: len(seen) > 2, 15)
    httpd.shutdown()
    httpd.server_close()
    assert "not signed with our token" in r.read_log()
    assert seen[0] == seen[1]  # not acknowledged: sent again


# -- the helper's protocol, written down a second time ------------------------------------------

def varint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7f | 0x80])
        v >>= 7
    return out + bytes([v])


def field(n, v):
    if isinstance(v, int):
        return varint(n << 3) + varint(v)
    return varint(n << 3 | 2) + varint(len(v)) + v


def fields(data):
    out, i = {}, 0

    def take():
        nonlocal i
        v = shift = 0
        while True:
            c = data[i]
            i += 1
            v |= (c & 0x7f) << shift
            shift += 7
            if c < 0x80:
                return v
    while i < len(data):
        tag = take()
        if tag & 7 == 2:
            n = take()
            out[tag >> 3] = data[i:i + n]
            i += n
        else:
            out[tag >> 3] = take()
    return out


def ask_helper(r, pid, boot=None, start=None, expires=0):
    boot = boot or open("/proc/sys/kernel/random/boot_id").read().strip()
    start = start or int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[19])
    order = (field(1, 1) + field(2, b"n" * 16) + field(3, 1) + field(4, b"h") +
             field(5, boot.encode()) + field(6, pid) + field(7, start) + field(9, expires) +
             field(10, 10**9) + field(11, 65536))
    message = field(1, 1) + field(2, 2) + field(3, order)
    answers, buf = [], b""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(r.helper_socket))
        s.sendall(b"RSH1" + struct.pack("<I", len(message)) + message)
        s.settimeout(20)
        while True:
            chunk = s.recv(65536)
            if not chunk:
                break
            buf += chunk
    while buf:
        assert buf[:4] == b"RSH1"
        n = struct.unpack("<I", buf[4:8])[0]
        f = fields(buf[8:8 + n])
        answers.append((f[2], f.get(9, b"").decode()))
        buf = buf[8 + n:]
    return answers
