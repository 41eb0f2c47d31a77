"""Just enough of the protocols that the recorded programs speak."""
import itertools
import socket
import time


def connect(address):
    s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    s.settimeout(60)
    for attempt in itertools.count():
        try:
            s.connect(address)
            break
        except (ConnectionRefusedError, FileNotFoundError):
            if attempt == 300:
                raise
            time.sleep(0.05)
    if not isinstance(address, str):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


class Http:
    def __init__(self, address):
        self.s = connect(address)

    def get(self, path, gzip=False):
        self.s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                       f"{'Accept-Encoding: gzip' + chr(13) + chr(10) if gzip else ''}\r\n".encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        head = head.lower()
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"{path}: {head[:80]!r}")
        if b"content-length:" in head:
            n = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < n:
                body += self.more()
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self.more()

    def more(self):
        data = self.s.recv(65536)
        if not data:
            raise ConnectionError("closed")
        return data

    def close(self):
        self.s.close()


class Redis:
    def __init__(self, path):
        self.s = connect(path)
        self.f = self.s.makefile("rb")

    def pipeline(self, commands):
        out = []
        for c in commands:
            out.append(b"*%d\r\n" % len(c))
            for a in c:
                a = a if isinstance(a, bytes) else str(a).encode()
                out.append(b"$%d\r\n%s\r\n" % (len(a), a))
        self.s.sendall(b"".join(out))
        return [self.reply() for _ in commands]

    def reply(self):
        line = self.f.readline()
        if line[:1] == b"$" and line != b"$-1\r\n":
            return self.f.read(int(line[1:]) + 2)[:-2]
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        if line[:1] == b":":
            return int(line[1:])
        if line[:1] in (b"-", b"") and b"OOM" not in line:
            raise RuntimeError(line.decode())
        return None


class Postgres:
    """Simple queries; the last value of a row is the answer."""

    def __init__(self, folder):
        self.s = connect(folder + "/.s.PGSQL.5432")
        self.f = self.s.makefile("rb")
        who = b"user\0postgres\0database\0postgres\0\0"
        self.s.sendall((len(who) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + who)
        self.answer()
        self.pid = int(self.query("SELECT pg_backend_pid()"))

    def answer(self):
        value = None
        while True:
            kind, n = self.f.read(1), int.from_bytes(self.f.read(4), "big")
            data = self.f.read(n - 4)
            if kind == b"E":
                raise RuntimeError(data.replace(b"\0", b" ").decode())
            if kind == b"D":
                at = 2
                for _ in range(int.from_bytes(data[:2], "big")):
                    size = int.from_bytes(data[at:at + 4], "big", signed=True)
                    value = data[at + 4:at + 4 + max(size, 0)]
                    at += 4 + max(size, 0)
            if kind == b"Z":
                return value
            if not kind:
                raise ConnectionError("closed")

    def query(self, text):
        text = text.encode() + b"\0"
        self.s.sendall(b"Q" + (len(text) + 4).to_bytes(4, "big") + text)
        return self.answer()

    def close(self):
        self.s.close()


class Lines:
    def __init__(self, port):
        self.s = connect(("127.0.0.1", port))
        self.f = self.s.makefile("rb")

    def send(self, lines):
        """One after the other: answers to many at once would wait for each other's acknowledgement."""
        for x in lines:
            self.s.sendall((x + "\n").encode())
            self.f.readline()
