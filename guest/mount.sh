#!/bin/sh
# mount(8) comes here for ext4: DEVICE DIRECTORY [-sfnv] [-o OPTIONS]. A container may not ask its kernel to read a disk of its own,
# so a program reads it there. In a virtual machine the kernel does.
case ",$*," in *remount*) exec mount -i -t ext4 "$@" ;; esac
systemd-detect-virt -qc || exec mount -i -t ext4 "$@"

device=$1 directory=$2
shift 2
options=allow_other,fakeroot
while getopts sfnvN:o: option; do
	[ "$option" = o ] || continue
	# what it knows of mount's own options
	for one in $(printf %s "$OPTARG" | tr , ' '); do
		case "$one" in ro | errors=* | nosuid | nodev | noexec) options=$options,$one ;; esac
	done
done
# who was unmounted a moment ago may still be writing to it
for _ in 1 2 3 4 5 6 7 8 9 10; do
	pgrep -f "fuse2fs $device " > /dev/null || break
	sleep 0.2
done
exec fuse2fs "$device" "$directory" -o "$options"
