#!/bin/sh
# Gives a virtual machine's disk the name that its volume was attached under (/dev/sdf): volume vdb
set -eu
metadata=http://169.254.169.254/latest
ask() { curl -sf -m 2 "$@"; }

serial=$(cat "/sys/block/$1/serial")
case "$serial" in vol*) ;; *) exit 0 ;; esac
# the network may not be there yet, or metadata be off
tries=0
until token=$(ask -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $metadata/api/token) &&
	name=$(ask -H "X-aws-ec2-metadata-token: $token" "$metadata/dynamic/quartet/volumes/vol-${serial#vol}"); do
	tries=$((tries + 1))
	[ $tries -lt 60 ] || exit 0
	sleep 1
done
known=/run/quartet/volumes/$serial
[ "$(cat "$known" 2> /dev/null)" != "${name#/dev/}" ] || exit 0 # the event below asks for this once more
mkdir -p "${known%/*}"
printf %s "${name#/dev/}" > "$known"
udevadm trigger --action=change "/sys/block/$1"
