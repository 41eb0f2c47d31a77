#!/bin/sh
# Starts resin on this host: server, helper and agent, until Ctrl-C. Used by `make run`.
#   run-host.sh BUILD_DIR [PORT]
# As root: users of their own for server and agent, data in /var/lib/resin. Otherwise everything as
# you, data in BUILD_DIR/run; then only your own processes can be profiled.
# RESIN_DATA and RESIN_RUN_ARGS (more options for the server) change that.
set -eu

build=$(cd "$1" && pwd)
port=${2:-7411}
server_as=
agent_as=
agent_uid=$(id -u)

say() {
	printf 'resin: %s\n' "$*" >&2
}

add_user() {
	getent passwd "$1" >/dev/null ||
		useradd --system --no-create-home --gid resin --shell /usr/sbin/nologin "$1"
}

if [ "$(id -u)" = 0 ]; then
	data=${RESIN_DATA:-/var/lib/resin}
	runtime=/run/resin
	getent group resin >/dev/null || groupadd --system resin
	add_user resin-server
	add_user resin-agent
	agent_uid=$(id -u resin-agent)
	server_as="setpriv --reuid=resin-server --regid=resin --clear-groups --no-new-privs"
	agent_as="setpriv --reuid=resin-agent --regid=resin --clear-groups --no-new-privs"
	install -d -o resin-server -g resin -m 0750 "$data"
	install -d -o resin-agent -g resin -m 0700 "$data/agent"
	install -d -m 0755 "$runtime"
	if ! $server_as test -x "$build/resin" 2>/dev/null; then
		# A checkout under /root, say: nobody else can run programs there.
		install -d -m 0755 "$runtime/bin"
		for f in resin resin-agent resin-helper resin-demo-server resin-demo-client libresin-probe.so; do
			find "$build" -name "$f" -type f -exec install -m 0755 {} "$runtime/bin/" \;
		done
		build=$runtime/bin
	fi
else
	data=${RESIN_DATA:-$build/run}
	runtime=$data
	mkdir -p "$data/agent"
	say "not root: data in $data, and only your own processes can be profiled"
fi

policy=$data/policy.conf
if [ ! -e "$policy" ]; then
	cat >"$policy" <<EOF
# What resin may do to processes of this host; resin-policy(5). Everything else is denied.
# To let it look into a service, add its executable, for example:  allow = /usr/sbin/nginx
[profile]
allow = */resin-demo-server
max_duration = 30m
EOF
	chmod 0644 "$policy"
fi

pids=
stop() {
	trap - INT TERM EXIT
	say stopping
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill $pids 2>/dev/null || true
	wait
	rm -f "$data/url"
	exit 0
}
trap stop INT TERM EXIT

"$build/resin-helper" --listen="$runtime/helper.sock" --uid="$agent_uid" --policy="$policy" &
pids="$pids $!"

rm -f "$data/url"
# shellcheck disable=SC2086
(umask 027 && exec $server_as "$build/resin" server --data="$data" --listen=127.0.0.1:"$port" \
	${RESIN_RUN_ARGS:-}) >"$data/url" &
server=$!
pids="$pids $server"
i=0
while [ ! -s "$data/url" ]; do
	i=$((i + 1))
	if ! kill -0 $server 2>/dev/null || [ $i -gt 100 ]; then
		say "the server did not start; its reason is above"
		exit 3
	fi
	sleep 0.1
done
url=$(cat "$data/url")

$agent_as "$build/resin-agent" --set server="${url%/}" --set token="$data/token" \
	--set helper="$runtime/helper.sock" --set policy="$policy" --set state="$data/agent" &
pids="$pids $!"

cat <<EOF

  resin watches this host. The page:  $url
  See it catch a leak (90 seconds), in another terminal:  $build/resin demo --server=${url%/} --token=$data/token
  Ctrl-C stops it; what it has learnt stays in $data.

EOF
# One of them ending is the end: a person should see it.
while kill -0 $server 2>/dev/null; do
	sleep 1 &
	wait $! || true
done
say "the server ended"
exit 3
