"""A small HTTP service with a bounded cache, garbage, and a list that only grows.

/look?k=ID&g=KIB looks ID up, computes it when it is not there, makes garbage; /leak?n=N&b=BYTES
appends N records to a history that nobody reads; /report?n=N builds something large and drops it.
Prints its port. CACHE: entries of the cache.
"""
import collections
import http.server
import json
import os
import socketserver
import urllib.parse

CACHE = int(os.environ.get("CACHE", "5000"))
cache = collections.OrderedDict()
history = []


def compute(k):
    return [{"id": k * 1000 + i, "name": f"field {i} of {k}"} for i in range(20 + k * 7919 % 40)]


def look(k):
    v = cache.pop(k, None) or compute(k)
    cache[k] = v
    if len(cache) > CACHE:
        cache.popitem(last=False)
    return v


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one segment an answer

    def log_message(self, *_):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        q = {k: int(v) for k, v in urllib.parse.parse_qsl(query)}
        body = b"ok"
        if path == "/look":
            rows = [{"i": i, "text": f"row {i}"} for i in range(q["g"] * 4)]
            body = json.dumps({"v": len(look(q["k"])), "rows": rows[:20]}).encode()
        elif path == "/leak":
            for i in range(q["n"]):
                history.append({"n": len(history), "body": b"h" * (q["b"] - 300), "q": query + str(i)})
        elif path == "/report":
            body = str(len("".join(sorted(f"{i * 7919 % q['n']:09d}" for i in range(q["n"]))))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
