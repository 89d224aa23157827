#include "engine/vm/disk_use.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { SECTOR = 512, NS_PER_MS = 1000000 };

/* The kernel's Documentation/block/stat.rst: requests, merged ones, sectors and milliseconds, of reads and then of writes; how many
 * have not ended. */
int disk_use_read(const char *sysfs, dev_t device, struct shim_disk_use *use)
{
	char path[96], text[512];
	unsigned long long r[4], w[4];
	int waiting;
	snprintf(path, sizeof(path), "%s/dev/block/%u:%u/stat", sysfs, major(device), minor(device));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	if (sscanf(text, "%llu %llu %llu %llu %llu %llu %llu %llu %d", &r[0], &r[1], &r[2], &r[3], &w[0], &w[1], &w[2], &w[3],
	           &waiting) != 9)
		return -EIO;
	use->read_ops += r[0];
	use->read_bytes += r[2] * SECTOR;
	use->read_ns += r[3] * NS_PER_MS;
	use->write_ops += w[0];
	use->write_bytes += w[2] * SECTOR;
	use->write_ns += w[3] * NS_PER_MS;
	use->waiting = waiting;
	return 0;
}

void disk_use_since(struct shim_disk_use *now, const struct shim_disk_use *before)
{
	now->read_bytes -= before->read_bytes;
	now->write_bytes -= before->write_bytes;
	now->read_ops -= before->read_ops;
	now->write_ops -= before->write_ops;
	now->read_ns -= before->read_ns;
	now->write_ns -= before->write_ns;
}

void disk_use_sum(struct shim_answer *a, const struct shim_disk_use *use)
{
	a->read_bytes += use->read_bytes;
	a->write_bytes += use->write_bytes;
	a->read_ops += use->read_ops;
	a->write_ops += use->write_ops;
}

int disk_use_file(const struct shim_disk_use *uses, size_t count)
{
	int fd = count ? memfd_create("disks", MFD_CLOEXEC) : -1;
	if (fd >= 0 && write(fd, uses, count * sizeof(*uses)) != (ssize_t)(count * sizeof(*uses))) {
		close(fd);
		fd = -1;
	}
	return fd;
}
