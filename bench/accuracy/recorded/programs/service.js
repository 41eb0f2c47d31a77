/*
 * A small HTTP service with a bounded cache, sessions that expire, garbage, and a path that forgets.
 *
 *   /look?k=ID&g=KIB   looks ID up in the cache, computes it when it is not there, makes garbage
 *   /leak?n=N&b=BYTES  keeps N closures (or, with KIND=buffer, buffers outside of V8's heap)
 *   /session           a session that expires by itself
 *
 * Prints its port. CACHE: entries of the cache; SESSION_MS: how long a session lives.
 */
'use strict';
const http = require('http');

const cacheMax = +process.env.CACHE || 5000;
const sessionMs = +process.env.SESSION_MS || 6000;
const kind = process.env.KIND || 'closure';
const cache = new Map(), sessions = new Map(), listeners = [];
let serial = 0;

function compute(k) {
	const fields = [];
	for (let i = 0; i < 60 + (k * 7919) % 120; i++)
		fields.push({ id: k * 1000 + i, name: `field ${i} of ${k}`, on: i % 3 === 0 });
	return fields;
}

function look(k) {
	let v = cache.get(k);
	if (v)
		cache.delete(k); /* the latest used is last */
	else
		v = compute(k);
	cache.set(k, v);
	if (cache.size > cacheMax)
		cache.delete(cache.keys().next().value);
	return v;
}

function forget(n, bytes) {
	for (let i = 0; i < n; i++) {
		if (kind === 'buffer') {
			const kept = Buffer.alloc(bytes, 1);
			listeners.push(kept);
		} else {
			const context = new Array(bytes >> 3).fill(i + 0.5);
			listeners.push(() => context.length);
		}
	}
}

setInterval(() => {
	const now = Date.now();
	for (const [id, s] of sessions)
		if (s.until < now)
			sessions.delete(id);
}, 200);

const server = http.createServer((req, res) => {
	const url = new URL(req.url, 'http://localhost'), q = url.searchParams;
	let body = 'ok';
	if (url.pathname === '/look') {
		const rows = [];
		for (let i = 0; i < +q.get('g') * 8; i++)
			rows.push({ i, text: 'row ' + i });
		body = JSON.stringify({ v: look(+q.get('k')).length, rows: rows.length });
	} else if (url.pathname === '/leak') {
		forget(+q.get('n'), +q.get('b'));
	} else if (url.pathname === '/session') {
		sessions.set(++serial, { until: Date.now() + sessionMs, cart: compute(serial % 50) });
	}
	res.setHeader('Content-Length', Buffer.byteLength(body));
	res.end(body);
});
server.keepAliveTimeout = 600000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
