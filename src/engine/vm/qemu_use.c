/* What QEMU has used so far: its processor time from the kernel, and what went to each disk from its own counters. */
#include "engine/vm/qemu.h"

#include "engine/vm/disk_use.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t cpu_us(pid_t pid)
{
	char path[40], text[1024];
	unsigned long long user, kernel;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = 0;
	char *after = strrchr(text, ')');
	if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &kernel) != 2)
		return 0;
	return (user + kernel) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t memory_bytes(pid_t pid)
{
	char path[40], text[256];
	unsigned long long pages;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return sscanf(text, "%*u %llu", &pages) == 1 ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t counter(const struct json_value *stats, struct str name)
{
	const struct json_value *v = json_get(stats, name);
	int64_t n;
	return json_is(v, JSON_NUMBER) && json_to_int(v->text, &n) && n > 0 ? (uint64_t)n : 0;
}

/* The disk of a device's path, as plug_device() named it; absent: it is none of ours. */
static struct str disk_of_path(struct str path)
{
	static const char before[] = "/machine/peripheral/d-";
	if (!str_starts(path, str_from(before)))
		return STR_NONE;
	struct str name = str_from_at(path, sizeof(before) - 1);
	int64_t end = str_find_char(name, '/');
	return end > 0 && end < MACHINE_NAME_MAX ? str_sub(name, 0, (size_t)end) : STR_NONE;
}

int qemu_usage(struct qemu *q, struct shim_answer *a)
{
	struct arena CLEAN_ARENA arena;
	arena_init(&arena, 4 << 20);
	const struct json_value *devices;
	struct shim_disk_use uses[QEMU_DISKS];
	size_t count = 0;
	a->cpu_us = cpu_us(q->pid);
	a->memory_bytes = memory_bytes(q->pid);
	if (qmp_ask(&q->qmp, &arena, "query-blockstats", STR_NONE, -1, &devices) < 0)
		return -1;
	json_each(devices, device)
	{
		const struct json_value *stats = json_get(device, S("stats"));
		struct str disk = disk_of_path(json_get_str(device, S("qdev")));
		struct shim_disk_use use = {.read_bytes = counter(stats, S("rd_bytes")),
		                            .write_bytes = counter(stats, S("wr_bytes")),
		                            .read_ops = counter(stats, S("rd_operations")),
		                            .write_ops = counter(stats, S("wr_operations")),
		                            .read_ns = counter(stats, S("rd_total_time_ns")),
		                            .write_ns = counter(stats, S("wr_total_time_ns")),
		                            .waiting = -1};
		disk_use_sum(a, &use);
		if (!str_set(disk) || count == QEMU_DISKS)
			continue;
		memcpy(use.disk, disk.p, disk.n);
		uses[count++] = use;
	}
	return disk_use_file(uses, count);
}
