/* Switches of the network belong to the whole task: a runtime that makes no network namespace refuses them, so the shim, which is
 * root of the task's, turns them itself before a container that asks for them starts. */
#include "engine/oci/shim_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int turn(const char *name, const char *value)
{
	char path[256];
	int n = snprintf(path, sizeof(path), "/proc/sys/%s", name);
	if (n < 0 || (size_t)n >= sizeof(path) || strncmp(name, "net.", 4) != 0 || strchr(name, '/'))
		return -EINVAL;
	for (char *p = path + strlen("/proc/sys/"); (p = strchr(p, '.'));)
		*p = '/';
	if (strstr(path, "//"))
		return -EINVAL;
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int error = fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return error;
}

int sysctl_turn_all(const struct held_container *c, char *ret_why, size_t cap)
{
	const struct task_plan *h = &c->head;
	size_t bytes = h->sysctl_bytes;
	char *text = bytes > TASK_TEXT_MAX ? NULL : malloc(bytes + 1);
	off_t at = (off_t)(sizeof(*h) + h->config_bytes + h->health_bytes);
	int error = !text ? -ENOMEM : pread(c->plan->plan, text, bytes, at) != (ssize_t)bytes ? -EIO : 0;
	if (text)
		text[bytes] = 0;
	for (char *name = text, *end = text + bytes; !error && name < end;) {
		char *value = name + strlen(name) + 1, *next = value < end ? value + strlen(value) + 1 : end;
		error = value < end ? turn(name, value) : -EINVAL;
		if (error)
			snprintf(ret_why, cap, "the sysctl %.100s cannot be set: %s", name, strerror(-error));
		name = next;
	}
	free(text);
	return error;
}
