/* A task's life on this side: its sandbox is asked for, then its shim is spoken with. All that must survive this process lies in
 * the shim and in the caller's records. */
#include "engine/oci/bundle.h"
#include "engine/oci/image_state.h"
#include "engine/oci/runtime.h"
#include "engine/oci/task_state.h"

#include "base/log.h"
#include "io/msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { USAGE_US = 1000000, TEXT_MAX = 64 * 1024 };
#define SCRATCH_BYTES (20ull << 30)

/* Socket paths are short, a data directory's need not be: the descriptor's own name stands for it. */
struct sockaddr_un task_address(const struct task *t)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s.sock", t->owner->dir, t->id);
	return a;
}

struct task *task_make(struct tasks *s, const char *id)
{
	struct task *t = calloc(1, sizeof(*t));
	if (!t)
		die("out of memory");
	*t = (struct task){.owner = s, .user = &s->users[0], .sock = -1, .listener = -1};
	for (unsigned i = 1; i < s->user_count; i++)
		if (strncmp(id, s->users[i].prefix, strlen(s->users[i].prefix)) == 0)
			t->user = &s->users[i];
	snprintf(t->id, sizeof(t->id), "%s", id);
	list_init(&t->execs);
	list_push(&s->all, &t->at);
	return t;
}

void task_drop_fds(struct task *t)
{
	msg_close_fds(t->fds, t->fd_count);
	t->fd_count = 0;
}

struct tasks *tasks_new(struct loop *l, struct cells *cells, const char *data_dir, const char *runtime,
                        const struct task_events *events, task_found_fn *found, void *ctx)
{
	struct tasks *s = calloc(1, sizeof(*s));
	char path[4200];
	if (!s)
		die("out of memory");
	*s = (struct tasks){.loop = l, .cells = cells, .users = {{"", events, found, ctx}}, .user_count = 1, .channel = -1};
	if (oci_runtime_find(runtime, &s->runtime) < 0)
		die("the container runtime \"%s\" is not known", runtime);
	list_init(&s->all);
	snprintf(path, sizeof(path), "%s/tasks", data_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("%s: %s", path, strerror(errno));
	s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		die("%s: %s", path, strerror(errno));
	s->again = loop_add_timer(l, 0, tasks_open_channel, s);
	return s;
}

void tasks_share(struct tasks *s, const char *prefix, const struct task_events *events, task_found_fn *found, void *ctx)
{
	if (s->user_count == TASK_USERS_MAX || s->answered)
		die("tasks cannot be shared with \"%s\"", prefix);
	s->users[s->user_count++] = (struct task_user){prefix, events, found, ctx};
}

static void forget(struct task *t)
{
	list_remove(&t->at);
	loop_remove_timer(t->owner->loop, t->later);
	loop_remove_fd(t->owner->loop, t->watch);
	if (t->sock >= 0)
		close(t->sock);
	if (t->listener >= 0)
		close(t->listener);
	task_drop_fds(t);
	list_each (&t->execs, struct asked_exec, at, e) {
		list_remove(&e->at);
		free(e);
	}
	free(t->start);
	free(t);
}

void tasks_free(struct tasks *s)
{
	if (!s)
		return;
	list_each (&s->all, struct task, at, t)
		forget(t);
	trial_free(s);
	loop_remove_timer(s->loop, s->again);
	loop_remove_fd(s->loop, s->watch);
	if (s->channel >= 0)
		close(s->channel);
	close(s->dir);
	free(s);
}

const struct tasks_facts *tasks_facts(const struct tasks *s)
{
	return &s->facts;
}

const char *task_id(const struct task *t)
{
	return t->id;
}

unsigned task_container_count(const struct task *t)
{
	return t->count;
}

bool task_has_begun(const struct task *t, unsigned index)
{
	return index < t->count && t->runs[index];
}

const char *task_container_name(const struct task *t, unsigned index)
{
	return index < t->count ? t->names[index] : NULL;
}

int task_metadata_listener(const struct task *t)
{
	return t->listener;
}

/* ---- what START carries ---- */

static int make_file(struct task *t, const char *p, size_t n)
{
	int fd = memfd_create("task", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	t->fds[t->fd_count++] = fd;
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w <= 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int listen_for_shim(struct task *t)
{
	struct sockaddr_un a = task_address(t);
	char name[TASK_ID_MAX + 8];
	snprintf(name, sizeof(name), "%s.sock", t->id);
	unlinkat(t->owner->dir, name, 0);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	t->fds[t->fd_count++] = fd;
	return bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0 ? -errno : 0;
}

/* The three files that every container has of its task and not of its image. */
static int make_texts(struct task *t, const struct task_spec *spec)
{
	CLEAN_BUF struct buf b;
	buf_init(&b, TEXT_MAX);
	const char *host = spec->host_name && spec->host_name[0] ? spec->host_name : spec->id;
	buf_add_lit(&b, "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
	if (spec->port) {
		struct in_addr a = {htonl(spec->port->address)};
		char text[INET_ADDRSTRLEN];
		buf_printf(&b, "%s %s\n", inet_ntop(AF_INET, &a, text, sizeof(text)), host);
	}
	for (size_t i = 0; i < spec->host_count; i++)
		buf_printf(&b, "%s %s\n", spec->hosts[i].value, spec->hosts[i].name);
	int error = make_file(t, b.p, b.n);
	buf_clear(&b);
	for (const char *const *one = spec->dns_servers; one && *one; one++)
		buf_printf(&b, "nameserver %s\n", *one);
	for (const char *const *one = spec->dns_search; one && *one; one++)
		buf_printf(&b, "%s%s%s", one == spec->dns_search ? "search " : " ", *one, one[1] ? "" : "\n");
	if (!error)
		error = make_file(t, b.n ? b.p : "", b.n);
	buf_clear(&b);
	buf_printf(&b, "%s\n", host);
	if (!error)
		error = make_file(t, b.p, b.n);
	return error ? error : b.overflow ? -E2BIG : 0;
}

static int add_layers(struct steward_request *r, struct steward_container *to, const struct image *image)
{
	if (!image)
		return 0;
	if (!image->done || image->error || image->count > STEWARD_CHAIN_MAX)
		return -EINVAL;
	for (size_t i = 0; i < image->count; i++) {
		uint32_t k = 0;
		while (k < r->layer_count && memcmp(r->digests[k], image->layers[i].diff_id, STEWARD_DIGEST_BYTES) != 0)
			k++;
		if (k == STEWARD_LAYERS_MAX)
			return -E2BIG;
		if (k == r->layer_count)
			memcpy(r->digests[r->layer_count++], image->layers[i].diff_id, STEWARD_DIGEST_BYTES);
		to->layers[to->layer_count++] = (uint16_t)k;
	}
	return 0;
}

static int add_container(struct task *t, const struct task_spec *spec, unsigned index)
{
	const struct task_container *c = &spec->containers[index];
	struct steward_container *to = &t->start->containers[index];
	CLEAN_BUF struct buf b;
	buf_init(&b, TASK_CONFIG_BYTES_MAX);
	to->memory_bytes = c->memory_bytes;
	to->memory_soft_bytes = c->memory_soft_bytes;
	to->cpu_units = c->cpu_units;
	int error = add_layers(t->start, to, c->image);
	if (!error)
		error = bundle_plan(&b, spec, index);
	return error ? error : make_file(t, b.p, b.n);
}

static bool is_id(const char *id)
{
	size_t n = id ? strlen(id) : 0;
	return n > 0 && n < TASK_ID_MAX && strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

static int gather(struct task *t, const struct task_spec *spec)
{
	struct steward_request *r = t->start;
	if (!is_id(spec->id) || spec->container_count < 1 || spec->container_count > STEWARD_CONTAINERS_MAX)
		return -EINVAL;
	while (spec->volumes && spec->volumes[r->volume_count])
		if (++r->volume_count > STEWARD_VOLUMES_MAX)
			return -EINVAL;
	int error = listen_for_shim(t);
	if (!error)
		error = make_texts(t, spec);
	for (unsigned i = 0; i < spec->container_count && !error; i++)
		error = add_container(t, spec, i);
	if (!error && spec->port) {
		int fd = fcntl(spec->port->fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		t->fds[t->fd_count++] = fd;
	}
	return error ? error : steward_check(r, sizeof(*r), t->fd_count);
}

struct task *task_new(struct tasks *s, const struct task_spec *spec, void *ctx)
{
	struct task *t = task_make(s, is_id(spec->id) ? spec->id : "");
	t->ctx = ctx;
	t->start = calloc(1, sizeof(*t->start));
	if (!t->start)
		die("out of memory");
	*t->start = (struct steward_request){.verb = STEWARD_START,
	                                     .number = ++s->next_number,
	                                     .runtime = s->runtime,
	                                     .container_count = (uint32_t)spec->container_count,
	                                     .cpu_units = spec->cpu_units,
	                                     .memory_bytes = spec->memory_bytes,
	                                     .scratch_bytes = spec->scratch_bytes ? spec->scratch_bytes : SCRATCH_BYTES};
	snprintf(t->start->name, sizeof(t->start->name), "%s", t->id);
	if (spec->port) {
		t->start->has_port = 1;
		t->start->address = spec->port->address;
		t->start->gateway = spec->port->gateway;
		t->start->prefix = spec->port->prefix;
		t->start->has_address6 = spec->port->has_address6;
		memcpy(t->start->address6, spec->port->address6, sizeof(t->start->address6));
	}
	int error = s->facts.known && s->trial_failed ? -ENOTSUP : gather(t, spec);
	if (error == -ENOTSUP && s->trial_failed) {
		task_fail_later(t, error, s->facts.why_not);
	} else if (error) {
		task_drop_fds(t);
		task_fail_later(t, error, error == -EINVAL ? "the task's specification is not valid" : strerror(-error));
	} else {
		task_send_start(t);
	}
	return t;
}

/* ---- orders ---- */

static int order(struct task *t, unsigned index, enum task_verb verb)
{
	const struct task_order o = {.verb = verb, .container = index};
	return index < t->count ? task_order(t, &o, -1) : -ESRCH;
}

int task_start(struct task *t, unsigned index)
{
	if (index < t->count && t->runs[index])
		return -EBUSY;
	int error = order(t, index, TASK_START);
	if (!error)
		t->runs[index] = true;
	return error;
}

int task_stop(struct task *t, unsigned index)
{
	return order(t, index, TASK_STOP);
}

void task_end(struct task *t)
{
	if (t->stage == TASK_OVER || t->ending)
		return;
	t->ending = true;
	if (t->has_slot)
		tasks_kill_slot(t->owner, t->slot);
	if (t->stage == TASK_STANDING)
		order(t, 0, TASK_QUIT);
	else if (t->stage == TASK_WAITING)
		task_fail_later(t, 0, "");
}

void task_free(struct task *t)
{
	if (!t)
		return;
	char name[TASK_ID_MAX + 8];
	if (t->stage != TASK_OVER)
		order(t, 0, TASK_QUIT);
	if (t->has_slot)
		tasks_kill_slot(t->owner, t->slot);
	snprintf(name, sizeof(name), "%s.sock", t->id);
	unlinkat(t->owner->dir, name, 0);
	forget(t);
}

int task_exec(struct task *t, unsigned index, const char *const *argv, const char *const *environment,
              const struct task_exec_events *events, void *ctx)
{
	CLEAN_BUF struct buf b;
	buf_init(&b, TASK_CONFIG_BYTES_MAX / 2);
	if (t->stage != TASK_STANDING || index >= t->count)
		return -ESRCH;
	if (!argv || !argv[0])
		return -EINVAL;
	unsigned variables = bundle_words(&b, environment);
	bundle_words(&b, argv);
	int fd = b.overflow ? -1 : memfd_create("exec", MFD_CLOEXEC);
	if (fd < 0)
		return b.overflow ? -E2BIG : -errno;
	const struct task_order o = {
	        .verb = TASK_EXEC, .number = ++t->next_exec, .container = index, .bytes = (uint32_t)b.n, .environment = variables};
	int error = write(fd, b.p, b.n) != (ssize_t)b.n ? -EIO : task_order(t, &o, fd);
	close(fd);
	if (error)
		return error;
	struct asked_exec *e = calloc(1, sizeof(*e));
	if (!e)
		die("out of memory");
	*e = (struct asked_exec){.number = o.number, .events = events, .ctx = ctx};
	list_push(&t->execs, &e->at);
	return 0;
}

void task_usage(struct task *t, unsigned index, struct task_usage *ret)
{
	*ret = (struct task_usage){0};
	if (index >= t->count)
		return;
	int64_t now = loop_now_us(t->owner->loop);
	if (!t->usage_asked_us[index] || now - t->usage_asked_us[index] >= USAGE_US) {
		t->usage_asked_us[index] = now;
		order(t, index, TASK_STAT);
	}
	*ret = t->usage[index];
}
