"""The programs that are recorded, what they do and how they leak; WAVES has them all."""
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time

from clients import Http, Lines, Postgres, Redis
from life import OPTIONS, SLOTS, Subject, anonymous_bytes, children, tree_bytes, zipf

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20


# --- redis ----------------------------------------------------------------------------------------

class RedisSubject(Subject):
    program, rate, mean_bytes = "redis", 300, 6000

    def start(self):
        path = self.folder + f"/{self.life}.sock"
        self.spawn("redis-server", "--port", 0, "--unixsocket", path, "--save", "", "--appendonly", "no",
                   *self.more.get("options", ()))
        self.client = Redis(path)
        self.value = self.rng.randbytes(33 << 10)
        self.serial, self.backlog = 0, 0

    def body(self, key):
        return self.value[:200 + int(self.mean_bytes * 2 * ((key * 2654435761 & 0xffff) / 65536) ** 1.5)]

    def config(self, name, value):
        self.client.pipeline([("CONFIG", "SET", name, value)])

    def look_up(self, keys, *expiry):
        got = self.client.pipeline([("GET", f"page:{k}") for k in keys])
        missed = {k for k, v in zip(keys, got) if v is None}
        if missed:
            self.client.pipeline([("SET", f"page:{k}", self.body(k), *self.lives(*expiry)) for k in missed])

    def lives(self, least=None, most=None):
        return ("PX", int(self.rng.uniform(least, most) * OPTIONS.hour * 1000)) if most else ()


class RedisTtl(RedisSubject):
    """A cache with a time to live of 12 to 36 hours."""
    mean_bytes = 16000

    def request(self, n, hour):
        self.look_up([zipf(self.rng, 60000) for _ in range(n)], 12, 36)

    def warm(self):
        for i in range(0, 6000, 200):
            self.look_up([zipf(self.rng, 60000) for _ in range(200)], 1, 36)


class RedisLru(RedisSubject):
    """A cache with a limit, filled as it is asked."""

    def request(self, n, hour):
        self.look_up([self.rng.randrange(self.more["keys"]) for _ in range(n)])


class RedisQueue(RedisSubject):
    """A store, and a queue whose consumers fall behind in bursts. Leaks: what is never acknowledged."""
    object_bytes = 2200

    def warm(self):
        self.client.pipeline([("SET", f"user:{k}", self.body(k)) for k in range(8000)])

    def request(self, n, hour):
        self.client.pipeline([("LPUSH", "jobs", self.value[:2000])] * n)
        self.backlog += n
        taken = min(self.backlog, int(self.mean / SLOTS * 1.25) + 1)
        self.client.pipeline([("RPOP", "jobs")] * taken)
        self.backlog -= taken

    def forget(self, n):
        self.client.pipeline([("LPUSH", "processing", self.value[:2180])] * n)


class RedisSession(RedisTtl):
    """Sessions for a day; those of the path that leaks are stored without a time to live."""
    object_bytes = 1100  # MEMORY USAGE of such a key, about

    def forget(self, n):
        self.client.pipeline([("SET", f"session:{self.serial + i:012d}", self.value[:1000])
                              for i in range(n)])
        self.serial += n


def redis_wave():
    def memory(v):
        return lambda s: s.config("maxmemory", v)

    def lru(limit):
        return ["--maxmemory", limit, "--maxmemory-policy", "allkeys-lru"]

    ttl, lru_how, day = "cache with a time to live", "LRU cache, ", 45 * MIB
    sess = "sessions without a time to live, "
    return [
        RedisTtl("redis-ttl", "a", ttl),
        RedisTtl("redis-ttl", "b", ttl + ", quiet weekends", weekend=True),
        RedisTtl("redis-ttl", "c", ttl + "; restart, empty, at 200", events={200: Subject.restart}),
        RedisLru("redis-lru", "a", lru_how + "fills in 2 days", options=lru("64mb"), keys=60000),
        RedisLru("redis-lru", "b", lru_how + "maxmemory 64 to 96 MB at 190", options=lru("64mb"), keys=60000,
                 events={190: memory("96mb")}),
        RedisLru("redis-lru", "c", lru_how + "restart at 150, maxmemory 72 to 48 MB at 250",
                 options=lru("72mb"), keys=60000, events={150: Subject.restart, 250: memory("48mb")}),
        RedisLru("redis-lru", "d", lru_how + "little asked, fills for 10 days", options=lru("64mb"),
                 keys=30000, rate=60, weekend=True),
        RedisQueue("redis-queue", "a", "queue with bursts"),
        RedisQueue("redis-queue", "b", "queue with bursts, quiet weekends", weekend=True),
        RedisQueue("redis-queue", "c", "jobs never acknowledged, with load",
                   leak=(120, .06 * 55 * MIB, "load")),
        RedisSession("redis-session", "a", "sessions with a time to live"),
        RedisSession("redis-session", "b", sess + "with load", leak=(96, .03 * day, "load")),
        RedisSession("redis-session", "c", sess + "evenly", leak=(150, .10 * day, "steady"),
                     weekend=True),
        RedisSession("redis-session", "d", sess + "every 12 h", leak=(200, .40 * day, "stair", 12)),
    ]


# --- HTTP services --------------------------------------------------------------------------------

class HttpSubject(Subject):
    warm_requests, cache_entries = 500, 3000

    def launch(self):
        raise NotImplementedError

    def start(self):
        self.launch()
        self.client = Http(("127.0.0.1", int(self.process.stdout.readline())))

    def warm(self):
        """Fills the cache, unless it shall be seen filling; then some of the usual load."""
        for k in range(self.more.get("warm", self.cache_entries)):
            self.client.get(f"/look?k={k}&g=2")
        self.request(self.warm_requests, 0)

    def request(self, n, hour):
        keys = self.more.get("keys", 20000)
        for _ in range(n):
            self.client.get(f"/look?k={zipf(self.rng, keys)}&g={self.rng.randint(5, 60)}")

    def forget(self, n):
        for i in range(0, n, 200):
            self.client.get(f"{self.more.get('path', '/leak')}?n={min(200, n - i)}&b={self.object_bytes}")

    def drop(self):
        """A caller's connection is closed with the process."""
        self.client.close()

    def stop(self):
        super().stop()
        if self.process and self.process.stdout:
            self.process.stdout.close()


class NodeSubject(HttpSubject):
    program, rate, object_bytes, warm_requests = "node", 50, 2048, 3000

    def launch(self):
        self.spawn(*OPTIONS.node.split(), *self.more.get("options", ()), HERE + "/programs/service.js",
                   output=subprocess.PIPE,
                   env={"CACHE": str(self.more.get("cache", self.cache_entries)), "KIND": self.more.get("kind", ""),
                        "SESSION_MS": str(int(12000 * OPTIONS.hour))})

    def request(self, n, hour):
        super().request(n, hour)
        for _ in range(n // 3):
            self.client.get("/session")


def node_wave():
    """Without a limit V8 lets its heap fill for a week of this load before it collects what is old."""
    closures, base = "closures kept in an array, ", 80 * MIB
    limit = {"options": ["--max-old-space-size=192"]}
    return [
        NodeSubject("node-api", "a", "HTTP service with a cache and sessions; no limit: the heap fills for a week"),
        NodeSubject("node-api", "b", "old space of at most 192 MB, quiet weekends", weekend=True, **limit),
        NodeSubject("node-api", "c", "deploy of a version with twice the cache at 190",
                    events={190: lambda s: s.deploy(cache=6000)}, **limit),
        NodeSubject("node-api", "d", "old space of at most 96 MB, restarts every 4 days",
                    options=["--max-old-space-size=96"],
                    events={h: Subject.restart for h in (96, 192, 288)}),
        NodeSubject("node-closure", "a", "no leak", **limit),
        NodeSubject("node-closure", "b", closures + "with load", leak=(110, .03 * base, "load"), **limit),
        NodeSubject("node-closure", "c", closures + "evenly", leak=(140, .12 * base, "steady"), **limit),
        NodeSubject("node-closure", "d", closures + "every 8 h", leak=(220, .3 * base, "stair", 8),
                    options=["--max-old-space-size=400"]),
        NodeSubject("node-closure", "e", closures + "with load, restart at 230",
                    leak=(100, .08 * base, "load"), events={230: Subject.restart}, **limit),
        NodeSubject("node-buffer", "a", "no leak", kind="buffer", **limit),
        NodeSubject("node-buffer", "b", "buffers outside of the heap kept, evenly", kind="buffer",
                    leak=(100, .05 * base, "steady"), weekend=True, **limit),
    ]


class PythonSubject(HttpSubject):
    program, rate, object_bytes = "python", 50, 2048

    def launch(self):
        self.spawn("/usr/bin/python3", HERE + "/programs/service.py", output=subprocess.PIPE,
                   env={"CACHE": str(self.more.get("cache", self.cache_entries))})

    def request(self, n, hour):
        super().request(n, hour)
        if "report" in self.more and hour % 24 == 3 and self.rng.random() < 0.3:
            self.client.get(f"/report?n={self.rng.randint(*self.more['report'])}")


def python_wave():
    history, base = "records appended to a list, ", 45 * MIB
    return [
        PythonSubject("python-web", "a", "HTTP service with a cache"),
        PythonSubject("python-web", "b", "the same, quiet weekends; cache fills for days", weekend=True,
                      warm=10, cache=5000),
        PythonSubject("python-web", "c", "restarts every 3 days", warm=300,
                      events={h: Subject.restart for h in range(72, 336, 72)}),
        PythonSubject("python-web", "d", "a large report every night", report=(50000, 200000)),
        PythonSubject("python-list", "a", "no leak"),
        PythonSubject("python-list", "b", history + "with load", leak=(100, .02 * base, "load")),
        PythonSubject("python-list", "c", history + "with load", leak=(160, .1 * base, "load"),
                      weekend=True),
        PythonSubject("python-list", "d", history + "every 6 h, restart at 230",
                      leak=(130, .3 * base, "stair", 6), events={230: Subject.restart}),
        PythonSubject("python-list", "e", history + "evenly", leak=(200, .05 * base, "steady")),
    ]


# --- kv-server, ours ------------------------------------------------------------------------------

class KvSubject(Subject):
    """tests/leakers/kv-server.c; its leak is on STAT, which is not asked before the leak begins."""
    program, rate, object_bytes = "kv-server", 120, 4096 + 16

    def start(self):
        binary = self.folder + "/kv-server"
        if self.life == 1:
            subprocess.run(["gcc", "-O2", "-g", "-pthread", '-DLEAK_PATH="STAT"', "-DLEAK_EVERY=1", "-o", binary,
                            os.path.join(HERE, "../../../tests/leakers/kv-server.c")], check=True)
        self.spawn(binary, output=subprocess.PIPE)
        port = int(self.process.stdout.readline())
        self.clients = [Lines(port) for _ in range(2)]
        self.serial, self.temporary = 0, []

    def warm(self):
        self.clients[0].send([f"FILL warm{i} 16000" for i in range(self.more.get("warm", 3200))])

    def request(self, n, hour):
        mix, client = self.more.get("mix", "kv"), self.clients[self.serial % 2]
        self.serial += n
        if mix == "batch":
            client.send([f"BATCH {self.rng.randint(20000, 60000)}" for _ in range(max(1, n // 2))])
        elif mix == "fill":
            client.send([f"FILL k{self.rng.randrange(self.more['keys'])} 8000" for _ in range(n)])
        else:
            keys = [self.rng.randrange(3000) for _ in range(n)]
            client.send([self.rng.choice((f"GET c{k}", f"DEL c{k}", f"SET c{k} {'v' * (k * 7919 % 3000)}"))
                         for k in keys])

    def forget(self, n):
        self.clients[0].send(["STAT"] * n)


class KvRetention(KvSubject):
    """Bursts of temporary keys, with others in between that stay: the allocator cannot give back."""

    def request(self, n, hour):
        super().request(n, hour)
        if hour in self.more["bursts_at"] and len(self.temporary) < 6000:
            keys = [f"t{hour}-{self.serial}-{i}" for i in range(600)]
            self.clients[0].send([f"SET {k} {'t' * self.rng.randint(100, 3900)}" for k in keys])
            self.temporary += keys
        elif self.temporary:
            gone = [self.temporary.pop() for _ in range(min(300, len(self.temporary)))]
            self.clients[1].send([f"DEL {k}" for k in gone if self.rng.random() < 0.98])


def kv_wave():
    stat, base = "a buffer forgotten in each request, ", 52 * MIB
    burst = "bursts of temporary keys that fragment the heap"
    return [
        KvSubject("kv-serve", "a", "key-value server"),
        KvSubject("kv-serve", "b", "collects buffers and drops them all", mix="batch", warm=1500),
        KvSubject("kv-serve", "c", "cache that fills for 3 days", mix="fill", keys=6000, warm=1000),
        KvSubject("kv-serve", "d", "cache; more to keep from 200 on", mix="fill", keys=3000,
                  events={200: lambda s: s.more.update(keys=4500)}),
        KvRetention("kv-retention", "a", burst, bursts_at={60, 150, 260}),
        KvRetention("kv-retention", "b", burst + ", daily", bursts_at=set(range(30, 336, 24))),
        KvRetention("kv-retention", "c", burst + ", later ones longer",
                    bursts_at={80, 150, 151, 152, 240, 241, 242, 243}),
        KvSubject("kv-forget", "a", "no leak"),
        KvSubject("kv-forget", "b", stat + "with load", leak=(90, .02 * base, "load")),
        KvSubject("kv-forget", "c", stat + "evenly", leak=(150, .08 * base, "steady"), weekend=True),
        KvSubject("kv-forget", "d", stat + "every 12 h", leak=(180, .25 * base, "stair", 12)),
        KvSubject("kv-forget", "e", stat + "evenly", leak=(240, .5 * base, "steady")),
    ]


# --- PostgreSQL -----------------------------------------------------------------------------------

PG_BIN = "/usr/lib/postgresql/15/bin/"
PG_TABLES = 3000


class PgSubject(Subject):
    """A server with many tables, as services with many tenants have; a backend keeps what it knows
    about each that it has used."""
    program, rate = "postgresql", 35
    template = None

    @classmethod
    def prepare(cls):
        cls.template = tempfile.mkdtemp(prefix="resin-record-pg-")
        os.chmod(cls.template, 0o755)
        shutil.chown(cls.template, "postgres", "postgres")
        data = cls.template + "/data"
        subprocess.run([PG_BIN + "initdb", "-D", data, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
                       check=True, user="postgres", group="postgres", stdout=subprocess.DEVNULL,
                       cwd=cls.template)
        sql = "CREATE TABLE accounts (id int primary key, n int, text text);\n" \
              "INSERT INTO accounts SELECT i, 0, repeat('x', 80) FROM generate_series(1, 20000) i;\n" \
              + "".join(f"CREATE TABLE t{i} (id int primary key, a int, b text, c numeric);\n"
                        f"INSERT INTO t{i} VALUES (1, {i}, 'tenant {i}', 0.5);\n" for i in range(PG_TABLES))
        subprocess.run([PG_BIN + "postgres", "--single", "-j", "-D", data, "-c", "fsync=off", "postgres"],
                       input=sql.replace(";\n", ";\n\n"), text=True, check=True, user="postgres", group="postgres",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cls.template)

    @classmethod
    def clean_up(cls):
        if cls.template:
            shutil.rmtree(cls.template, ignore_errors=True)

    def start(self):
        data = self.folder + "/data"
        shutil.chown(self.folder, "postgres", "postgres")
        subprocess.run(["cp", "-a", self.template + "/data", data], check=True)
        self.spawn(PG_BIN + "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=", "-c",
                   "fsync=off", "-c", "max_locks_per_transaction=2048", "-c", "shared_buffers=64MB",
                   user="postgres", sig=signal.SIGQUIT)
        for attempt in itertools.count():
            try:
                self.session = Postgres(self.folder)
                break
            except (RuntimeError, ConnectionError):
                if attempt == 200:
                    raise
                time.sleep(0.1)
        self.serial = 0
        self.pool = []
        if self.leak:
            self.object_bytes = self.calibrate()

    def reconnect(self):
        self.session.close()
        self.session = Postgres(self.folder)
        self.life += 1

    def touch(self, session, table):
        session.query(f"SELECT b FROM t{table} WHERE id = 1 AND a >= 0")

    def warm(self):
        if self.more.get("tenants"):
            for i in range(PG_TABLES):
                self.touch(self.session, i)

    def work(self, session):
        k = self.rng.randint(1, 20000)
        session.query(f"BEGIN; UPDATE accounts SET n = n + 1 WHERE id = {k}; "
                      f"SELECT n FROM accounts WHERE id = {k}; COMMIT")
        if self.more.get("tenants"):
            self.touch(session, self.rng.randrange(PG_TABLES))
        if self.rng.random() < 0.05:
            session.query("SELECT count(*) FROM (SELECT text, n FROM accounts WHERE id <= 4000 ORDER BY n, text, id) x")
        if self.more.get("temporary") and self.rng.random() < 0.2:
            session.query("CREATE TEMP TABLE scratch (id int, b text) ON COMMIT PRESERVE ROWS; "
                          "INSERT INTO scratch SELECT i, 'b' FROM generate_series(1, 100) i; DROP TABLE scratch")

    def request(self, n, hour):
        for _ in range(n):
            self.work(self.session)

    def leak_one(self, session):
        self.serial += 1
        i = self.serial
        if self.more["kind"] == "prepared":
            session.query(f"PREPARE q{i} AS SELECT b, c FROM t{i % PG_TABLES} WHERE id = $1::int AND a >= {i}; "
                          f"EXECUTE q{i}(1)")
        else:
            session.query(f"CREATE TEMP TABLE kept{i} AS SELECT 1 AS id, 'b' AS b; SELECT b FROM kept{i}")

    def forget(self, n):
        for _ in range(n):
            self.leak_one(self.session)

    def calibrate(self):
        """Bytes that one forgotten object takes, from the server's own books."""
        books = "SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts"
        session = Postgres(self.folder)
        for i in range(PG_TABLES):
            self.touch(session, i)
        self.leak_one(session)
        before = int(session.query(books))
        for _ in range(200):
            self.leak_one(session)
        after = int(session.query(books))
        session.close()
        return max(1, (after - before) // 200)

    def memory(self):
        return anonymous_bytes(self.session.pid)


class PgPool(PgSubject):
    """All backends of a server whose clients open and close connections with their load."""

    def request(self, n, hour):
        want = max(2, min(self.more["most"], round(self.expected[hour] / self.mean * self.more["most"] / 2.2)))
        while len(self.pool) < want:
            self.pool.append(Postgres(self.folder))
        if len(self.pool) > want and not self.more.get("keeps"):
            self.pool.pop(0).close()
        for _ in range(n):
            self.work(self.rng.choice(self.pool))

    def forget(self, n):
        for _ in range(n):
            self.leak_one(self.rng.choice(self.pool))

    def memory(self):
        return sum(anonymous_bytes(p) for p in children(self.process.pid))


def pg_wave():
    kept, base = "prepared statements never deallocated, ", 30 * MIB
    tenants = {"tenants": True}
    return [
        PgSubject("pg-session", "a", "a session with short transactions and sorts"),
        PgSubject("pg-session", "b", "the same over 3000 tables, cold; the relation cache fills",
                  **tenants, events={0: lambda s: s.reconnect()}),
        PgSubject("pg-session", "c", "the same, reconnects every 4 days; temporary tables fill temp_buffers", **tenants,
                  temporary=True, events={h: lambda s: s.reconnect() for h in (96, 192, 288)}),
        PgSubject("pg-session", "d", "the same, quiet weekends", weekend=True, **tenants),
        PgSubject("pg-prepared", "a", "no leak", **tenants),
        PgSubject("pg-prepared", "b", kept + "with load", kind="prepared", **tenants,
                  leak=(100, .05 * base, "load")),
        PgSubject("pg-prepared", "c", kept + "evenly", kind="prepared", **tenants,
                  leak=(150, .2 * base, "steady")),
        PgSubject("pg-prepared", "d", "temporary tables never dropped, every 12 h", kind="temp",
                  **tenants, leak=(180, .15 * base, "stair", 12)),
        PgPool("pg-pool", "a", "all backends of a pool that follows its load", most=10, **tenants),
        PgPool("pg-pool", "b", "the same, a larger pool from 190 on", most=8, **tenants,
               events={190: lambda s: s.more.update(most=14)}),
        PgPool("pg-pool", "c", "pool that never closes; " + kept + "with load", most=6, keeps=True,
               kind="prepared", **tenants, leak=(140, .06 * 120 * MIB, "load")),
    ]


# --- JVM ------------------------------------------------------------------------------------------

class JvmSubject(HttpSubject):
    program, rate, object_bytes, warm_requests, cache_entries = "jvm", 60, 2048, 4000, 8000
    classes = None

    @classmethod
    def prepare(cls):
        cls.classes = tempfile.mkdtemp(prefix="resin-record-jvm-")
        subprocess.run(["javac", "-d", cls.classes, HERE + "/programs/Service.java"], check=True)

    @classmethod
    def clean_up(cls):
        if cls.classes:
            shutil.rmtree(cls.classes, ignore_errors=True)

    def launch(self):
        self.spawn("java", *self.more["options"].split(), "-XX:ParallelGCThreads=2", "-Dsun.net.httpserver.nodelay=true", "-cp",
                   self.classes, "Service", self.more.get("cache", self.cache_entries), output=subprocess.PIPE)


def jvm_wave():
    heap, base = "arrays kept in a static map, ", 150 * MIB
    direct = "direct buffers kept, "
    g1, serial = "-XX:+UseG1GC ", "-XX:+UseSerialGC "
    return [
        JvmSubject("jvm-g1", "a", "HTTP service, G1, 192 MB", options=g1 + "-Xmx192m"),
        JvmSubject("jvm-g1", "b", "G1, 64 to 256 MB, quiet weekends", options=g1 + "-Xms64m -Xmx256m", weekend=True),
        JvmSubject("jvm-g1", "c", "G1, deploy with a larger cache at 170", options=g1 + "-Xms64m -Xmx256m",
                   events={170: lambda s: s.deploy(cache=14000)}),
        JvmSubject("jvm-serial", "a", "serial collector, 160 MB", options=serial + "-Xmx160m"),
        JvmSubject("jvm-serial", "b", "parallel collector, 192 MB", options="-XX:+UseParallelGC -Xmx192m"),
        JvmSubject("jvm-map", "a", "no leak", options=g1 + "-Xms64m -Xmx512m"),
        JvmSubject("jvm-map", "b", heap + "with load, serial", options=serial + "-Xms48m -Xmx512m",
                   leak=(100, .06 * base, "load")),
        JvmSubject("jvm-map", "c", heap + "evenly, G1", options=g1 + "-Xms64m -Xmx1024m",
                   leak=(150, .3 * base, "steady")),
        JvmSubject("jvm-map", "d", heap + "every 12 h, serial", options=serial + "-Xms64m -Xmx1024m",
                   leak=(200, .4 * base, "stair", 12)),
        JvmSubject("jvm-direct", "a", "no leak", options=g1 + "-Xms64m -Xmx192m"),
        JvmSubject("jvm-direct", "b", direct + "with load", options=g1 + "-Xms64m -Xmx192m",
                   leak=(110, .04 * base, "load"), path="/direct", object=16384),
        JvmSubject("jvm-direct", "c", direct + "evenly", options=serial + "-Xms64m -Xmx400m",
                   leak=(180, .2 * base, "steady"), path="/direct", object=16384),
    ]


# --- nginx ----------------------------------------------------------------------------------------

class NginxSubject(Subject):
    """A reverse proxy: the memory of master and workers together."""
    program, rate, object_bytes = "nginx", 90, 600

    def configure(self):
        modules = "".join(f"load_module modules/{m}_module.so;\n" for m in ("ndk_http", "ngx_http_lua"))
        with open(HERE + "/programs/nginx.conf", encoding="ascii") as f:
            text = f.read()
        for word, value in (("WORKERS", self.more.get("workers", 2)), ("DIR", self.folder),
                            ("CONNECTIONS", self.more.get("connections", 16384)),
                            ("ENTRIES", self.more.get("entries", 1)), ("MODULES", modules)):
            text = text.replace(word, str(value))
        with open(self.folder + "/nginx.conf", "w", encoding="ascii") as f:
            f.write(text)

    def start(self):
        self.configure()
        self.spawn("nginx", "-e", self.folder + "/error.log", "-c", self.folder + "/nginx.conf", sig=signal.SIGTERM)
        self.pool = []
        self.connection()

    def connection(self):
        self.pool.append(Http(self.folder + "/front.sock"))

    def workers(self):
        return children(self.process.pid)

    def reload(self, **more):
        """New workers; the old ones leave with their last connection."""
        self.more.update(more)
        self.configure()
        old = set(self.workers())
        self.process.send_signal(signal.SIGHUP)
        while not set(self.workers()) - old:
            time.sleep(0.01)
        time.sleep(0.15)  # only then the old ones stop accepting
        for c in self.pool:
            c.close()
        self.pool = []
        if self.more.get("entries"):
            self.life += 1

    def path(self):
        if self.more.get("entries"):
            return f"/cached?k={zipf(self.rng, 400000)}"
        return f"/look/{self.rng.randint(1, 500)}"

    def request(self, n, hour):
        want = max(2, round(self.expected[hour] / self.mean * self.more.get("clients", 60)))
        while len(self.pool) < want:
            self.connection()
        while len(self.pool) > want:
            self.pool.pop(0).close()
        for _ in range(n):
            at, path, gzip = self.rng.randrange(want), self.path(), self.rng.random() < 0.5
            try:
                self.pool[at].get(path, gzip)
            except ConnectionError:  # closed by a worker that leaves; who asks, asks again
                self.pool[at] = Http(self.folder + "/front.sock")
                self.pool[at].get(path, gzip)

    def warm(self):
        self.request(500, 0)

    def forget(self, n):
        for i in range(0, n, 200):
            self.pool[0].get(f"/leak?n={min(200, n - i)}&b={self.object_bytes}")

    def memory(self):
        return tree_bytes(self.process.pid)


class NginxWorker(NginxSubject):
    """Its only worker, with what Lua keeps in it."""

    def memory(self):
        return anonymous_bytes(max(self.workers()))


def nginx_wave():
    lua, base = "a table of Lua that grows, ", 40 * MIB
    one = {"workers": 1, "entries": 50000, "connections": 1024}
    reloads = {h: NginxSubject.reload for h in (60, 130, 215, 300)}
    return [
        NginxSubject("nginx-proxy", "a", "reverse proxy with as many connections as load"),
        NginxSubject("nginx-proxy", "b", "the same, reloads every few days", events=reloads, weekend=True),
        NginxSubject("nginx-proxy", "c", "worker_connections doubled at 200",
                     events={200: lambda s: s.reload(connections=32768)}),
        NginxWorker("nginx-lua", "a", "a bounded cache in Lua, reloads", events=reloads, **one),
        NginxWorker("nginx-lua", "b", lua + "with load", leak=(100, .04 * base, "load"), **one),
        NginxWorker("nginx-lua", "c", lua + "evenly", leak=(140, .15 * base, "steady"), weekend=True,
                    **one),
        NginxWorker("nginx-lua", "d", lua + "every 12 h, reload at 260",
                    leak=(160, .3 * base, "stair", 12), events={260: NginxSubject.reload}, **one),
    ]


WAVES = {"redis": redis_wave, "node": node_wave, "python": python_wave, "kv-server": kv_wave,
         "postgresql": pg_wave, "jvm": jvm_wave, "nginx": nginx_wave}
