"""The command line: help equals manual, exit codes, JSON, bad input with a named fix."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import NOBODY, ROOT, needs_root, run_cli

COMMANDS = ["check", "diagnose", "detect", "explain", "top", "fleet", "status", "ticket", "server", "demo", "version", "help"]


def run(parts, *args, **kw):
    return run_cli(parts, *args, **kw)


def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}


def test_table_of_commands(parts):
    assert run(parts, "help", "--list").stdout.split() == COMMANDS
    overview = run(parts, "help").stdout
    assert all(re.search(rf"^  {c} ", overview, re.M) for c in COMMANDS)
    assert run(parts).returncode == 2
    assert run(parts, "--help").returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_help_equals_manual(command, parts):
    r = run(parts, command, "--help") if command != "help" else run(parts, "help", "help")
    assert r.returncode == 0 and r.stdout.startswith("Usage: resin " + command)
    assert run(parts, "help", command).stdout == r.stdout
    assert all(len(line) <= 100 for line in r.stdout.splitlines())
    page = (ROOT / f"man/resin-{command}.1").read_text().replace("\\-", "-").replace("\\fB", "")
    options = page[page.index(".SH OPTIONS"):].split(".SH ")[1] if ".SH OPTIONS" in page else ""
    assert options_of(options) == options_of(r.stdout)


def test_manual_of_the_configuration_names_every_key(parts):
    keys = re.findall(r"^(\w+) = ", run(parts, "help", "config").stdout, re.M)
    page = (parts / "resin.conf.5").read_text()
    assert len(keys) > 15 and all(f".BI {k} " in page for k in keys)


@pytest.mark.parametrize("args", [
    ["nonsense"], ["help", "nonsense"], ["diagnose"], ["diagnose", "abc"], ["diagnose", "-5"],
    ["diagnose", "1", "2"], ["diagnose", "1", "--duration=1"], ["diagnose", "1", "--duration=2h"],
    ["diagnose", "1", "--period=1"], ["diagnose", "1", "--top=0"], ["diagnose", "1", "--nope"],
    ["diagnose", "1", "--duration"], ["check", "x"], ["top", "--limit=0"], ["top", "--sort=x"],
    ["top", "extra"], ["ticket"], ["ticket", "show"], ["ticket", "show", "x"], ["ticket", "lst"],
    ["status", "extra"], ["server", "extra"], ["demo", "extra"], ["detect"], ["detect", "--query=x"],
    ["detect", "--prometheus=x"], ["detect", "f", "--hour=1"], ["detect", "f", "--format=xml"],
    ["detect", "f", "--load=x"], ["explain"], ["explain", "f", "--json"],
    ["explain", "--ticket=0"], ["explain", "--ticket=1", "f"], ["fleet", "x"], ["fleet", "--limit=0"]])
def test_wrong_use(args, parts):
    r = run(parts, *args)
    assert r.returncode == 2 and r.stdout == ""
    assert r.stderr.startswith("resin: ") and len(r.stderr.strip().splitlines()) == 1


def test_version_and_check(parts):
    assert run(parts, "version").stdout.startswith("resin ")
    v = json.loads(run(parts, "version", "--json").stdout)
    assert v["schema"] == "resin.version/1" and v["version"]
    c = json.loads(run(parts, "check", "--json").stdout)
    assert c["schema"] == "resin.check/1" and c["ok"] is True
    assert {i["name"] for i in c["items"]} >= {"architecture", "ptrace", "helper", "probe"}


@pytest.mark.parametrize("args", [["status"], ["top"], ["fleet"], ["explain", "--ticket=1"], ["ticket", "list"], ["demo"]])
def test_no_server(args, parts):
    r = run(parts, *args, "--server=http://127.0.0.1:1")
    assert r.returncode == 3 and "no answer from" in r.stderr and "resin server" in r.stderr


def test_port_is_taken(resin, parts):
    r = resin()
    r.start_server()
    other = pathlib.Path(tempfile.mkdtemp())
    second = run(parts, "server", f"--data={other}", f"--listen=127.0.0.1:{r.port}", timeout=20)
    shutil.rmtree(other)
    assert second.returncode == 3
    assert "is taken" in second.stderr and "--listen" in second.stderr


def test_two_servers_on_one_data_directory(resin, parts):
    r = resin()
    r.start_server()
    second = run(parts, "server", f"--data={r.data}/server", "--listen=127.0.0.1:0", timeout=20)
    assert second.returncode == 3 and "in use by another server" in second.stderr


def test_only_loopback(parts, tmp_path):
    r = run(parts, "server", f"--data={tmp_path}", "--listen=0.0.0.0:7777", timeout=20)
    assert r.returncode == 3 and "loopback" in r.stderr


@needs_root
def test_data_directory_not_writable(parts):
    r = run(parts, "server", "--data=/proc/nope", "--listen=127.0.0.1:0", as_user=NOBODY, timeout=20)
    assert r.returncode in (3, 5) and "/proc/nope" in r.stderr and "--data" in r.stderr


def test_unknown_key(parts, tmp_path):
    conf = tmp_path / "resin.conf"
    conf.write_text("[detect]\nmin_step = 3\n")
    r = run(parts, "server", f"--config={conf}", f"--data={tmp_path}", timeout=20)
    assert r.returncode == 3
    assert f"{conf}:2" in r.stderr and "did you mean 'min_steps'" in r.stderr
    conf.write_text("[detect]\nmin_steps = 3\n")
    r = run(parts, "server", f"--config={conf}", f"--data={tmp_path}", timeout=20)
    assert r.returncode == 3 and "below the least allowed" in r.stderr
    r = run(parts, "server", f"--config={tmp_path}/none", f"--data={tmp_path}", timeout=20)
    assert r.returncode == 3 and "does not exist" in r.stderr


def test_broken_store_is_named_and_kept(parts, tmp_path):
    (tmp_path / "resin.sqlite").write_text("this is no database " * 100)
    r = run(parts, "server", f"--data={tmp_path}", "--listen=127.0.0.1:0", timeout=20)
    assert r.returncode == 3 and "resin.sqlite" in r.stderr
    assert (tmp_path / "resin.sqlite").read_text().startswith("this is no database")


@pytest.mark.parametrize("program", ["resin-agent", "resin-helper"])
def test_daemons_help(program, parts):
    h = subprocess.run([parts / program, "--help"], text=True, capture_output=True)
    assert h.returncode == 0 and h.stdout.startswith(f"Usage: {program}")
    page = (ROOT / f"man/{program}.8").read_text().replace("\\-", "-")
    assert options_of(h.stdout) - {"--version"} <= options_of(page)
    assert subprocess.run([parts / program, "--nope"], capture_output=True).returncode == 2
    v = subprocess.run([parts / program, "--version"], text=True, capture_output=True)
    assert v.stdout.startswith(program + " ")


def test_bash_completion(parts):
    script = f"""
PATH={parts}:$PATH; . {ROOT}/packaging/completions/resin.bash
complete -p resin >/dev/null || exit 9
COMP_WORDS=(resin ti); COMP_CWORD=1; COMP_LINE='resin ti'; COMP_POINT=8
f=$(complete -p resin | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f resin ti resin; echo "${{COMPREPLY[@]}}"
"""
    r = subprocess.run(["bash", "-c", script], text=True, capture_output=True)
    assert r.stdout.split() == ["ticket"], r
