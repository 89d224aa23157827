#!/bin/sh
# Makes the packages of the sample functions: build.sh OUT -> OUT/report-{python,node,native}.zip
set -e
here=$(cd "$(dirname "$0")" && pwd)
out=$1
[ -n "$out" ] || { echo "usage: build.sh OUT" >&2; exit 2; }
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

(cd "$here/report-python" && python3 -m zipfile -c "$out/report-python.zip" report.py)

${CC:-cc} -O2 -Wall -Wextra -Werror -o "$work/bootstrap" "$here/report-native/bootstrap.c" -lcrypto
(cd "$work" && python3 -m zipfile -c "$out/report-native.zip" bootstrap)

# Bundled into one file, as functions with the AWS SDK usually are: start-up reads one file instead of hundreds.
mkdir "$work/node"
cp "$here/report-node/index.js" "$here/report-node/package.json" "$work/node/"
if (cd "$work/node" && npm install --no-audit --no-fund --silent >&2 && \
	npx --no-install esbuild index.js --bundle --platform=node --target=node18 --minify --outfile=out/index.js --log-level=warning >&2); then
	(cd "$work/node/out" && python3 -m zipfile -c "$out/report-node.zip" index.js)
else
	echo "build.sh: npm cannot fetch the AWS SDK for JavaScript: no report-node.zip" >&2
fi
