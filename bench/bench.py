"""What a look costs: the target while it is sampled, the stop of a thread, the agent's tick.

Pairs are interleaved in one run (plain, sampled, plain, ...), so that a machine whose speed drifts
gives the same ratio. The peer is the same program left alone.
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ["RESIN_BUILD"])
ROOT = pathlib.Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / TICK


def start(args):
    p = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, text=True)
    return p, p.stdout.readline().strip()


def rate(counter, pid, seconds):
    """Units of work per second of the target's own processor time."""
    c0, t0 = counter(), cpu_seconds(pid)
    time.sleep(seconds)
    return (counter() - c0) / (cpu_seconds(pid) - t0)


def paired(name, pid, counter, rounds=5, seconds=3):
    ratios, stops = [], []
    for _ in range(rounds):
        plain = rate(counter, pid, seconds)
        d = subprocess.Popen([BUILD / "resin", "diagnose", str(pid), "--json",
                              f"--duration={seconds + 1}s", "--period=512K"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.7)
        ratios.append(plain / rate(counter, pid, seconds - 0.5))
        stops.append(json.loads(d.communicate()[0])["longest_stop_ns"] / 1e6)
    print(f"{name}: processor time per unit of work while sampled / before: median "
          f"{statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}); "
          f"longest stop of one thread, median {statistics.median(stops):.1f} ms")


def service():
    s, port = start([BUILD / "resin-demo-server"])
    c = subprocess.Popen([BUILD / "resin-demo-client", port, "0", "20000", "kv"],
                         stdout=subprocess.PIPE, text=True)
    import socket
    k = socket.create_connection(("127.0.0.1", int(port)))
    f = k.makefile("rw")

    def requests():
        f.write("STAT\n")
        f.flush()
        return int(f.readline().split()[1])
    time.sleep(0.5)
    paired("key-value server", s.pid, requests)
    c.terminate()
    print("  its client:", c.communicate()[0].strip())
    s.kill()
    s.wait()


def allocator():
    """Two threads that do nothing but allocate and free: the worst case."""
    folder = tempfile.mkdtemp()
    source = pathlib.Path(folder) / "churn.c"
    source.write_text(r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static unsigned long n[2][16];
static void *run(void *a){unsigned long *c=a;unsigned s=1;
 for(;;){for(int i=0;i<1000;i++){s=s*1103515245+12345;void *p=malloc(16+(s>>16)%1008);
 __asm__ volatile(""::"r"(p):"memory");free(p);}__atomic_add_fetch(c,1000,__ATOMIC_RELAXED);}}
int main(void){pthread_t t;pthread_create(&t,0,run,n[0]);pthread_create(&t,0,run,n[1]);
 puts("ready");fflush(stdout);char b[8];while(read(0,b,1)==1){
 printf("%lu\n",n[0][0]+n[1][0]);fflush(stdout);}}
""")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", f"{folder}/churn", source], check=True)
    p = subprocess.Popen([f"{folder}/churn"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)
    p.stdout.readline()

    def pairs():
        p.stdin.write("x")
        p.stdin.flush()
        return int(p.stdout.readline())
    time.sleep(0.5)
    paired("malloc+free only", p.pid, pairs)
    p.kill()
    p.wait()


def agent():
    """Processor time of the agent with 1,000 sleeping processes, per process and look."""
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(1000)]
    data = pathlib.Path(tempfile.mkdtemp())
    (data / "agent").mkdir()
    s, url = start([BUILD / "resin", "server", f"--data={data}", "--listen=127.0.0.1:0"])
    a = subprocess.Popen([BUILD / "resin-agent", "--set", f"server={url.rstrip('/')}", "--set",
                          f"token={data}/token", "--set", f"state={data}/agent", "--set",
                          "period=1s"], stderr=subprocess.DEVNULL)
    time.sleep(5)
    t0, began = cpu_seconds(a.pid), time.monotonic()
    time.sleep(20)
    used, took = cpu_seconds(a.pid) - t0, time.monotonic() - began
    rss = int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{a.pid}/status").read())[1])
    print(f"agent, {len(sleepers)} processes: {used / took / len(sleepers) * 1e6:.1f} us a process "
          f"and look ({used / took * 10:.2f} % of a core at the default period of 10 s), "
          f"{rss} KiB of private memory")
    for p in [a, s, *sleepers]:
        p.kill()
        p.wait()


for name in sys.argv[1:] or ["service", "allocator", "agent"]:
    {"service": service, "allocator": allocator, "agent": agent}[name]()
