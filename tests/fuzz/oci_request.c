/* What api may say to the steward and to a task's shim, and the user database of an image, from which a shim makes a configuration.
 */
#include "engine/oci/shim_state.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_start(const struct steward_request *r)
{
	assert(r->runtime < STEWARD_RUNTIMES && r->container_count <= STEWARD_CONTAINERS_MAX &&
	       r->layer_count <= STEWARD_LAYERS_MAX);
	assert(r->prefix <= 32 && r->volume_count <= STEWARD_VOLUMES_MAX && memchr(r->name, 0, sizeof(r->name)));
	for (unsigned i = 0; i < r->container_count; i++) {
		assert(r->containers[i].layer_count <= STEWARD_CHAIN_MAX);
		for (unsigned j = 0; j < r->containers[i].layer_count; j++)
			assert(r->containers[i].layers[j] < r->layer_count);
	}
}

static char place[] = "/tmp/quartet-fuzz-user-XXXXXX";

static void remove_place(void)
{
	char path[64];
	for (const char *const *n = (const char *const[]){"/etc/passwd", "/etc/group", "/etc", "", NULL}; *n; n++) {
		strcat(strcpy(path, place), *n);
		remove(path);
	}
}

static void write_file(int root, const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(root, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

/* Both files are the same bytes; the user is their first line. */
static void check_user(const uint8_t *data, size_t size)
{
	static int root = -1;
	char json[1200], user[256];
	if (root < 0) {
		assert(mkdtemp(place) && (root = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0);
		assert(mkdirat(root, "etc", 0700) == 0 && atexit(remove_place) == 0);
	}
	const uint8_t *end = memchr(data, '\n', size);
	size_t n = end ? (size_t)(end - data) : 0;
	if (!end || n >= sizeof(user))
		return;
	memcpy(user, data, n);
	user[n] = 0;
	write_file(root, "etc/passwd", end + 1, size - n - 1);
	write_file(root, "etc/group", end + 1, size - n - 1);
	if (user_json(root, user, json, sizeof(json)) == 0)
		assert(strspn(json, "{}[]\":,uidgatonsl0123456789G") == strlen(json)); /* numbers and our own words */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct steward_request r;
	for (unsigned fds = 0; fds <= TASK_FDS + STEWARD_CONTAINERS_MAX + 1; fds++)
		if (steward_check(data, size, fds) == 0 && size == sizeof(r)) {
			memcpy(&r, data, sizeof(r));
			if (r.verb == STEWARD_START)
				check_start(&r);
		}
	for (unsigned fds = 0; fds < 3; fds++)
		if (task_check_order(data, size, fds) == 0) {
			struct task_order o;
			memcpy(&o, data, sizeof(o));
			assert(o.container < STEWARD_CONTAINERS_MAX && (o.verb == TASK_EXEC) == (fds == 1));
		}
	if (size)
		check_user(data, size);
	return 0;
}
