"""The web page in a real browser, on the real server."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from conftest import BUILD, wait_until

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def browse(url, *more):
    profile = tempfile.mkdtemp(prefix="resin-page-")
    try:
        return subprocess.run(["chromium", *FLAGS, f"--user-data-dir={profile}",
                               "--virtual-time-budget=6000", "--window-size=1200,900", *more, url],
                              text=True, capture_output=True, timeout=50).stdout
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def test_page_shows_processes_and_survives_hostile_names(resin, procs, tmp_path):
    assert shutil.which("chromium"), "NEEDS chromium"
    evil = tmp_path / "<img src=x onerror=document.title=1>"
    shutil.copy("/bin/sleep", evil)
    r = resin().start()
    target = procs.start([evil, "60"])
    wait_until(lambda: (r.process(target.pid) or {}).get("component", "").startswith("<img"), 20,
               why=r.read_log())
    dom = browse(r.url + "/", "--dump-dom")
    assert "<title>" in dom and "resin-agent" in dom
    assert "&lt;img src=x" in dom and "<img src=x" not in dom
    entity = r.process(target.pid)["entity"]
    dom = browse(f"{r.url}/#/process/{entity}", "--dump-dom")
    assert "<svg" in dom and str(target.pid) in dom


def test_api_does_not_answer_for_foreign_names(resin):
    """A page of another site, whose name was pointed at loopback, gets nothing."""
    r = resin()
    r.start_server()
    out = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                          "Host: evil.example", r.url + "/v1/status"], text=True,
                         capture_output=True).stdout
    assert out == "421"
    head = subprocess.run(["curl", "-s", "-D", "-", "-o", "/dev/null", r.url + "/"], text=True,
                          capture_output=True).stdout
    assert "default-src 'none'" in head and "nosniff" in head
