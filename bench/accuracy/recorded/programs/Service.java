/*
 * A small HTTP service with a bounded cache, garbage, and two paths that forget: a static map on
 * the heap and buffers outside of it.
 *
 * /look?k=ID&g=KIB looks ID up, computes it when it is not there, makes garbage;
 * /leak?n=N&b=BYTES puts N arrays into a static map; /direct?n=N&b=BYTES keeps N direct buffers.
 * Prints its port. First argument: entries of the cache.
 */
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

public class Service {
	static final Map<Long, byte[]> audit = new java.util.HashMap<>();
	static final List<ByteBuffer> kept = new ArrayList<>();
	static long serial;
	static volatile int sink;

	static class Cache extends LinkedHashMap<Integer, List<String>> {
		final int max;

		Cache(int max) {
			super(16, 0.75f, true);
			this.max = max;
		}

		protected boolean removeEldestEntry(Map.Entry<Integer, List<String>> e) {
			return size() > max;
		}
	}

	static List<String> compute(int k) {
		List<String> v = new ArrayList<>();
		for (int i = 0; i < 40 + k * 7919L % 80; i++)
			v.add("field " + i + " of " + k);
		return v;
	}

	static int number(String query, String name) {
		for (String p : query.split("&"))
			if (p.startsWith(name + "="))
				return Integer.parseInt(p.substring(name.length() + 1));
		return 0;
	}

	static int work(Cache cache, int k, int kib) {
		int n = 0;
		for (int i = 0; i < kib; i++) {
			StringBuilder b = new StringBuilder();
			while (b.length() < 400)
				b.append(i).append(' ').append(k);
			n += b.toString().length();
		}
		return n + cache.computeIfAbsent(k, Service::compute).size();
	}

	public static void main(String[] args) throws Exception {
		Cache cache = new Cache(Integer.parseInt(args[0]));
		HttpServer s = HttpServer.create(
			new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		s.setExecutor(Executors.newSingleThreadExecutor());
		s.createContext("/", x -> {
			String path = x.getRequestURI().getPath(), q = x.getRequestURI().getQuery();
			int n = q == null ? 0 : number(q, "n"), b = q == null ? 0 : number(q, "b");
			if (path.equals("/look"))
				sink = work(cache, number(q, "k"), number(q, "g"));
			for (int i = 0; path.equals("/leak") && i < n; i++)
				audit.put(serial++, new byte[b - 80]);
			for (int i = 0; path.equals("/direct") && i < n; i++) {
				ByteBuffer d = ByteBuffer.allocateDirect(b);
				for (int j = 0; j < b; j += 1024)
					d.put(j, (byte) 1);
				kept.add(d);
			}
			byte[] body = "ok".getBytes();
			x.sendResponseHeaders(200, body.length);
			x.getResponseBody().write(body);
			x.close();
		});
		s.start();
		System.out.println(s.getAddress().getPort());
	}
}
