/* Reading and writing the files that were handed out as descriptors: runs in `api`, without privilege. */
#include "engine/cgroup/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int put(int fd, const char *text)
{
	return pwrite(fd, text, strlen(text), 0) < 0 ? -errno : 0;
}

int cgroup_put_frozen(int version, int fd, bool frozen)
{
	if (version == 2)
		return put(fd, frozen ? "1" : "0");
	return put(fd, frozen ? "FROZEN" : "THAWED");
}

int cgroup_put_cpu_quota(int version, int fd, uint32_t quota_us)
{
	char text[40];
	if (quota_us == UINT32_MAX)
		snprintf(text, sizeof(text), "%s", version == 2 ? "max" : "-1");
	else
		snprintf(text, sizeof(text), "%u", quota_us < CGROUP_CPU_MIN_US ? CGROUP_CPU_MIN_US : quota_us);
	return put(fd, text);
}

int64_t cgroup_get_memory_peak(int version, int fd)
{
	(void)version;
	char text[32];
	long n = cgroup_read_fd(fd, text, sizeof(text));
	return n <= 0 ? (n ? n : -EIO) : (int64_t)strtoll(text, NULL, 10);
}

int cgroup_reset_memory_peak(int version, int fd)
{
	return put(fd, version == 2 ? "reset" : "0");
}

int64_t cgroup_get_oom_kills(int version, int fd)
{
	(void)version;
	char text[512];
	long n = cgroup_read_fd(fd, text, sizeof(text));
	if (n < 0)
		return n;
	/* "oom_kill N" on a line of its own in both memory.oom_control and memory.events; oom_kill_disable is another word */
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
		if (strncmp(line, "oom_kill ", 9) == 0)
			return (int64_t)strtoll(line + 9, NULL, 10);
	return -ENOENT;
}

int64_t cgroup_get_memory_now(int version, int fd)
{
	return cgroup_get_memory_peak(version, fd); /* one number too */
}

int64_t cgroup_get_cpu_us(int version, int fd)
{
	char text[256];
	long n = cgroup_read_fd(fd, text, sizeof(text));
	if (n <= 0)
		return n ? n : -EIO;
	if (version == 1)
		return (int64_t)(strtoull(text, NULL, 10) / 1000);
	return strncmp(text, "usage_usec ", 11) == 0 ? (int64_t)strtoll(text + 11, NULL, 10) : -EIO;
}
