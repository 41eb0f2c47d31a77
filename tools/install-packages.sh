#!/bin/sh
# Installs the Debian packages that are missing: install-packages.sh [sudo] -- PACKAGE...
set -eu
become=
while [ "$1" != -- ]; do
	become=$1
	shift
done
shift
missing=
for p; do
	dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -q '^installed$' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "resin: installing$missing" >&2
if [ -n "$become" ] && ! command -v "$become" >/dev/null; then
	echo "resin: not root and no $become here; as root: apt-get install$missing" >&2
	exit 5
fi
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $become apt-get install -qq -y --no-install-recommends $missing >/dev/null 2>&1 || {
	DEBIAN_FRONTEND=noninteractive $become apt-get update -qq
	DEBIAN_FRONTEND=noninteractive $become apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
