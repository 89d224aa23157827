/* Being woken when a group's memory use crosses a line. v1: an eventfd registered in cgroup.event_control; moving the line takes a
 * new one, because a registration ends with its descriptor. v2: memory.high is the line, and memory.events says so by POLLPRI.
 * Above it the kernel also slows the group down, up to two seconds a step: good while we look, bad when we have decided, so then
 * there is no line. */
#include "engine/cgroup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int open_in(struct cgroups *g, const char *name, const char *file, int flags)
{
	char path[CGROUP_NAME_MAX + 40];
	int own = g->own[CGROUP_MEMORY]; /* v2's only one too */
	snprintf(path, sizeof(path), "%s/%s", name, file);
	int fd = own < 0 ? -1 : openat(own, path, flags | O_CLOEXEC);
	return fd < 0 ? -ENOENT : fd;
}

int cgroup_alarm_open(struct cgroups *g, const char *name, struct cgroup_alarm *ret)
{
	struct cgroup_alarm a = {.version = g->version, .event_fd = -1, .events = g->version == 2 ? EPOLLPRI : EPOLLIN};
	a.usage_fd = open_in(g, name, g->version == 2 ? "memory.current" : "memory.usage_in_bytes", O_RDONLY);
	if (a.usage_fd < 0)
		return a.usage_fd;
	if (g->version == 2 && (a.event_fd = open_in(g, name, "memory.events", O_RDONLY)) < 0) {
		close(a.usage_fd);
		return a.event_fd;
	}
	*ret = a;
	return 0;
}

int cgroup_alarm_set(struct cgroups *g, const char *name, struct cgroup_alarm *a, uint64_t bytes)
{
	char text[64];
	if (bytes == CGROUP_NO_ALARM && a->version == 1)
		return 0; /* an old line wakes us once too often, and slows nobody */
	int control = open_in(g, name, a->version == 2 ? "memory.high" : "cgroup.event_control", O_WRONLY), fresh = -1;
	if (control < 0)
		return control;
	if (a->version == 2) {
		if (bytes == CGROUP_NO_ALARM)
			strcpy(text, "max");
		else
			snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
		cgroup_alarm_clear(a);
	} else {
		fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		snprintf(text, sizeof(text), "%d %d %llu", fresh, a->usage_fd, (unsigned long long)bytes);
	}
	int error = write(control, text, strlen(text)) < 0 ? -errno : 0;
	close(control);
	if (a->version == 1) {
		if (a->event_fd >= 0)
			close(a->event_fd);
		a->event_fd = fresh;
	}
	return error;
}

void cgroup_alarm_clear(struct cgroup_alarm *a)
{
	char text[512];
	uint64_t count;
	/* reading is what makes the descriptor quiet again, for v2 from its start */
	if (a->version == 2)
		cgroup_read_fd(a->event_fd, text, sizeof(text));
	else if (read(a->event_fd, &count, sizeof(count)) < 0)
		return;
}

uint64_t cgroup_alarm_usage(const struct cgroup_alarm *a)
{
	char text[32];
	return cgroup_read_fd(a->usage_fd, text, sizeof(text)) > 0 ? strtoull(text, NULL, 10) : 0;
}

void cgroup_alarm_close(struct cgroup_alarm *a)
{
	close(a->usage_fd);
	if (a->event_fd >= 0)
		close(a->event_fd);
}
