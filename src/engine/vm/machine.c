/* A machine's life on this side: the warden starts its shim, then its disks are plugged in one by one, then it runs. What api asks
 * of a shim is answered in order, so requests under way are a queue. All that must survive this process lies in the shim, in the
 * files below DATA/machines, and in the caller's records. */
#include "engine/vm/machine.h"
#include "engine/vm/proto.h"

#include "base/list.h"
#include "base/log.h"
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"
#include "engine/volume/volume.h"
#include "io/msg.h"
#include "io/work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHANNEL_AGAIN_US = 200 * 1000, USAGE_US = 60 * 1000000, KILLS_MAX = 64 };

enum machine_state {
	MACHINE_WAITING, /* for the warden to answer */
	MACHINE_PLUGGING,
	MACHINE_RUNNING,
	MACHINE_OVER,
};

struct machines {
	struct loop *loop;
	struct work *work;
	struct cells *cells;
	const struct machine_events *events;
	machine_found_fn *found;
	void *ctx;
	int dir, volumes; /* DATA/machines, DATA/volumes */
	int warden;       /* -1: no channel */
	struct loop_fd *warden_watch;
	struct loop_timer *again, *usage_timer;
	struct machines_facts facts;
	struct list all;
	uint32_t next_number;
	bool scanned;
};

struct disk {
	char volume[MACHINE_NAME_MAX], serial[MACHINE_NAME_MAX];
	uint32_t iops, mib_per_s;
};

/* What a shim was asked and has not answered. */
struct asked {
	struct list at;
	struct shim_request r;
};

struct machine {
	struct machines *owner;
	struct list at;
	void *ctx;
	char id[MACHINE_ID_MAX];
	enum machine_state state;
	struct warden_request start;
	int fds[WARDEN_FDS + MACHINE_PORTS_MAX]; /* until they are sent */
	unsigned fd_count;
	struct disk disks[MACHINE_DISKS_MAX]; /* to be plugged in before it runs */
	unsigned disk_count, plugged;
	uint32_t slot;
	bool has_slot, stopped;
	int sock;
	struct loop_fd *watch;
	struct list asked;
	uint32_t next_ask;
	struct loop_timer *plug; /* machine_stop()'s grace; or the report of a failure */
	int failure;
	enum machine_end how;
	unsigned jobs; /* on worker threads */
	bool freed;
	struct machine_usage usage;
	char *console;
	/* adopted: who it belongs to is asked when the shim has said how it is */
	bool adopted;
};

static void report_end(struct machine *m, enum machine_end how, int error)
{
	if (m->state == MACHINE_OVER)
		return;
	m->state = MACHINE_OVER;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = NULL;
	list_each (&m->asked, struct asked, at, a) {
		list_remove(&a->at);
		if (a->r.verb == SHIM_DISK || a->r.verb == SHIM_UNPLUG || a->r.verb == SHIM_RESIZE)
			m->owner->events->disk(m->ctx, m, a->r.disk, -ESRCH);
		free(a);
	}
	m->owner->events->ended(m->ctx, m, how, error);
}

static void fail_now(void *ctx)
{
	struct machine *m = ctx;
	m->plug = NULL;
	report_end(m, m->how, m->failure);
}

/* From outside a callback, so it is said later. */
static void fail_later(struct machine *m, int error)
{
	m->how = MACHINE_NOT_STARTED;
	m->failure = error;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = loop_add_timer(m->owner->loop, 0, fail_now, m);
}

/* ---- the shim ---- */

static void file_name(const struct machine *m, const char *suffix, char ret[MACHINE_ID_MAX + 16])
{
	snprintf(ret, MACHINE_ID_MAX + 16, "%s.%s", m->id, suffix);
}

/* Socket paths are short, a data directory's need not be: the descriptor's own name stands for it. */
static struct sockaddr_un address_of(const struct machine *m)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s.sock", m->owner->dir, m->id);
	return a;
}

static int ask(struct machine *m, struct shim_request *r, const int *fds, size_t nfds)
{
	if (m->sock < 0)
		return -ESRCH;
	struct asked *a = calloc(1, sizeof(*a));
	if (!a)
		die("out of memory");
	r->number = ++m->next_ask;
	int error = msg_send(m->sock, r, sizeof(*r), fds, nfds);
	if (error) {
		free(a);
		return error;
	}
	a->r = *r;
	list_push(&m->asked, &a->at);
	return 0;
}

static int ask_simple(struct machine *m, enum shim_verb verb)
{
	struct shim_request r = {.verb = verb};
	return ask(m, &r, NULL, 0);
}

static int ask_disk(struct machine *m, const struct disk *d)
{
	struct shim_request r = {.verb = SHIM_DISK, .iops = d->iops, .mib_per_s = d->mib_per_s};
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	int fds[MACHINE_CHAIN_MAX], n = volume_chain(m->owner->volumes, d->volume, names), error = n < 0 ? n : 0;
	memcpy(r.disk, d->volume, sizeof(r.disk));
	memcpy(r.serial, d->serial, sizeof(r.serial));
	if (n > MACHINE_CHAIN_MAX)
		error = -E2BIG;
	unsigned opened = 0;
	while (!error && opened < (unsigned)n) {
		bool qcow2 = false;
		fds[opened] = volume_open(m->owner->volumes, names[opened], opened == 0, &qcow2);
		if (fds[opened] < 0) {
			error = fds[opened];
			break;
		}
		r.raw |= !qcow2 ? 1u << opened : 0;
		opened++;
	}
	r.files = opened;
	if (!error)
		error = ask(m, &r, fds, opened);
	msg_close_fds(fds, opened);
	return error;
}

/* The next step towards running. */
static void go_on(struct machine *m)
{
	int error = m->plugged < m->disk_count ? ask_disk(m, &m->disks[m->plugged]) : ask_simple(m, SHIM_RUN);
	if (error)
		report_end(m, MACHINE_NOT_STARTED, error);
}

static void take_usage(struct machine *m, const struct shim_answer *a)
{
	m->usage = (struct machine_usage){.cpu_us = a->cpu_us,
	                                  .disk_read_bytes = a->read_bytes,
	                                  .disk_write_bytes = a->write_bytes,
	                                  .disk_read_ops = a->read_ops,
	                                  .disk_write_ops = a->write_ops};
}

static void is_adopted(struct machine *m, const struct shim_answer *a)
{
	struct machines *s = m->owner;
	m->adopted = false;
	m->slot = a->slot;
	m->has_slot = true;
	m->state = MACHINE_RUNNING;
	m->ctx = s->found(s->ctx, m, m->id);
	if (!m->ctx) {
		machine_free(m);
		return;
	}
	take_usage(m, a);
	if (a->running)
		s->events->started(m->ctx, m);
	else if (!a->end)
		/* an api died while it plugged in its disks */
		ask_simple(m, SHIM_QUIT);
}

static void answered(struct machine *m, const struct asked *q, const struct shim_answer *a)
{
	switch (q->r.verb) {
	case SHIM_STATUS:
		if (m->adopted)
			is_adopted(m, a);
		else
			take_usage(m, a);
		break;
	case SHIM_DISK:
		if (m->state == MACHINE_PLUGGING) {
			m->plugged++;
			if (a->error)
				report_end(m, MACHINE_NOT_STARTED, a->error);
			else
				go_on(m);
			break;
		}
		m->owner->events->disk(m->ctx, m, q->r.disk, a->error);
		break;
	case SHIM_UNPLUG:
	case SHIM_RESIZE:
		m->owner->events->disk(m->ctx, m, q->r.disk, a->error);
		break;
	case SHIM_RUN:
		if (a->error) {
			report_end(m, MACHINE_NOT_STARTED, a->error);
			break;
		}
		m->state = MACHINE_RUNNING;
		m->owner->events->started(m->ctx, m);
		break;
	default:
		break;
	}
}

static void overlaid(struct machine *m, const struct shim_request *r, int error);

static void shim_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct machine *m = ctx;
	struct shim_answer a;
	ssize_t n = msg_recv(m->sock, &a, sizeof(a), NULL, 0, NULL);
	if (n == -EAGAIN)
		return;
	if (n != sizeof(a) || a.verb == SHIM_ENDED) {
		enum machine_end how = n != sizeof(a)            ? MACHINE_CRASHED
		                       : a.end == SHIM_END_GUEST ? MACHINE_SHUT_DOWN
		                                                 : MACHINE_CRASHED;
		if (m->stopped && how != MACHINE_CRASHED)
			how = MACHINE_STOPPED;
		if (m->stopped && n == sizeof(a) && a.end == SHIM_END_QUIT)
			how = MACHINE_STOPPED;
		if (n != sizeof(a)) {
			loop_remove_fd(m->owner->loop, m->watch);
			m->watch = NULL;
		}
		if (m->adopted) {
			/* over before anybody asked: whose it was is heard first */
			m->adopted = false;
			m->ctx = m->owner->found(m->owner->ctx, m, m->id);
			if (!m->ctx) {
				machine_free(m);
				return;
			}
		}
		report_end(m, m->state == MACHINE_PLUGGING ? MACHINE_NOT_STARTED : how, m->state == MACHINE_PLUGGING ? -EIO : 0);
		return;
	}
	list_each (&m->asked, struct asked, at, q)
		if (q->r.number == a.number) {
			list_remove(&q->at);
			if (q->r.verb == SHIM_OVERLAY)
				overlaid(m, &q->r, a.error);
			else
				answered(m, q, &a);
			free(q);
			return;
		}
}

static int connect_shim(struct machine *m)
{
	struct sockaddr_un to = address_of(m);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	m->sock = fd;
	m->watch = loop_add_fd(m->owner->loop, fd, EPOLLIN, shim_speaks, m);
	return 0;
}

/* ---- the warden ---- */

static void drop_fds(struct machine *m)
{
	msg_close_fds(m->fds, m->fd_count);
	m->fd_count = 0;
}

static void send_start(struct machine *m)
{
	struct machines *s = m->owner;
	if (s->warden < 0 || !m->fd_count)
		return;
	int error = msg_send(s->warden, &m->start, sizeof(m->start), m->fds, m->fd_count);
	if (error == -EAGAIN)
		return; /* with the next answer */
	drop_fds(m);
	if (error)
		fail_later(m, error);
}

static void send_all(struct machines *s)
{
	list_each (&s->all, struct machine, at, m)
		send_start(m);
}

static void kill_slot(struct machines *s, uint32_t slot)
{
	struct warden_request r = {.verb = WARDEN_KILL, .number = slot};
	if (s->warden >= 0)
		msg_send(s->warden, &r, sizeof(r), NULL, 0);
}

static void was_started(struct machines *s, const struct warden_answer *a)
{
	list_each (&s->all, struct machine, at, m) {
		if (m->state != MACHINE_WAITING || m->start.number != a->number)
			continue;
		int error = a->error;
		if (!error) {
			m->slot = a->slot;
			m->has_slot = true;
			error = connect_shim(m);
		}
		if (error) {
			report_end(m, MACHINE_NOT_STARTED, error);
			return;
		}
		m->state = MACHINE_PLUGGING;
		go_on(m);
		return;
	}
	/* nobody wants it any more */
	if (!a->error)
		kill_slot(s, a->slot);
}

static struct machine *new_machine(struct machines *s, const char *id)
{
	struct machine *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory");
	*m = (struct machine){.owner = s, .sock = -1, .how = MACHINE_NOT_STARTED};
	snprintf(m->id, sizeof(m->id), "%s", id);
	list_init(&m->asked);
	list_push(&s->all, &m->at);
	return m;
}

/* Machines of before have sockets; one whose shim is gone has none behind it, and what it said last is kept for its instance. */
static void look_for_machines(struct machines *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		char id[MACHINE_ID_MAX];
		char *dot = strrchr(e->d_name, '.');
		if (!dot || strcmp(dot, ".sock") != 0 || (size_t)(dot - e->d_name) >= sizeof(id))
			continue;
		memcpy(id, e->d_name, (size_t)(dot - e->d_name));
		id[dot - e->d_name] = 0;
		struct machine *m = new_machine(s, id);
		m->adopted = true;
		if (connect_shim(m) < 0 || ask_simple(m, SHIM_STATUS) < 0) {
			unlinkat(s->dir, e->d_name, 0);
			m->adopted = false;
			m->state = MACHINE_OVER;
			m->ctx = s->found(s->ctx, m, m->id);
			if (m->ctx)
				s->events->ended(m->ctx, m, MACHINE_CRASHED, 0);
			else
				machine_free(m);
		}
	}
	closedir(d);
}

static void open_channel(void *ctx);

static void warden_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct machines *s = ctx;
	union warden_any_answer a;
	ssize_t n = msg_recv(s->warden, &a, sizeof(a), NULL, 0, NULL);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		loop_remove_fd(s->loop, s->warden_watch);
		s->warden_watch = NULL;
		close(s->warden);
		s->warden = -1;
		/* what was asked of it is not known to have happened; who asked tries again */
		list_each (&s->all, struct machine, at, m)
			if (m->state == MACHINE_WAITING && !m->fd_count)
				report_end(m, MACHINE_NOT_STARTED, -EAGAIN);
		if (!s->again)
			s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, open_channel, s);
		return;
	}
	if (a.a.verb == WARDEN_FACTS && n == sizeof(a.facts)) {
		if (!s->scanned) {
			s->scanned = true;
			look_for_machines(s);
		}
		s->facts.known = true;
		s->facts.works = a.facts.works;
		memcpy(s->facts.why_not, a.facts.why_not, sizeof(s->facts.why_not));
		s->facts.why_not[sizeof(s->facts.why_not) - 1] = 0;
	} else if (a.a.verb == WARDEN_START && n == sizeof(a.a)) {
		was_started(s, &a.a);
	}
	send_all(s);
}

static void open_channel(void *ctx)
{
	struct machines *s = ctx;
	struct warden_request r = {.verb = WARDEN_FACTS};
	s->again = NULL;
	int fd = s->cells ? cells_open_channel(s->cells, PRIV_CHANNEL_MACHINE) : -EPIPE;
	if (fd < 0) {
		s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, open_channel, s);
		return;
	}
	s->warden = fd;
	s->warden_watch = loop_add_fd(s->loop, fd, EPOLLIN, warden_speaks, s);
	msg_send(fd, &r, sizeof(r), NULL, 0);
	send_all(s);
}

/* ---- the face ---- */

static void ask_usage(void *ctx)
{
	struct machines *s = ctx;
	list_each (&s->all, struct machine, at, m)
		if (m->state == MACHINE_RUNNING && !m->adopted)
			ask_simple(m, SHIM_STATUS);
	s->usage_timer = loop_add_timer(s->loop, USAGE_US, ask_usage, s);
}

static int open_dir(const char *data_dir, const char *name)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/%s", data_dir, name);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct machines *machines_new(struct loop *l, struct work *work, struct cells *cells, const char *data_dir,
                              const struct machine_events *events, machine_found_fn *found, void *ctx)
{
	struct machines *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct machines){.loop = l, .work = work, .cells = cells, .events = events, .found = found, .ctx = ctx, .warden = -1};
	list_init(&s->all);
	s->dir = open_dir(data_dir, "machines");
	s->volumes = open_dir(data_dir, "volumes");
	if (s->dir < 0 || s->volumes < 0)
		die("%s: %s", data_dir, strerror(s->dir < 0 ? -s->dir : -s->volumes));
	s->again = loop_add_timer(l, 0, open_channel, s);
	s->usage_timer = loop_add_timer(l, USAGE_US, ask_usage, s);
	return s;
}

static void forget(struct machine *m)
{
	list_remove(&m->at);
	loop_remove_timer(m->owner->loop, m->plug);
	loop_remove_fd(m->owner->loop, m->watch);
	if (m->sock >= 0)
		close(m->sock);
	drop_fds(m);
	list_each (&m->asked, struct asked, at, a) {
		list_remove(&a->at);
		free(a);
	}
	m->plug = NULL;
	m->watch = NULL;
	m->sock = -1;
	m->freed = true;
	if (m->jobs)
		return; /* the last job frees it */
	free(m->console);
	free(m);
}

void machines_free(struct machines *s)
{
	if (!s)
		return;
	list_each (&s->all, struct machine, at, m)
		forget(m);
	loop_remove_timer(s->loop, s->again);
	loop_remove_timer(s->loop, s->usage_timer);
	loop_remove_fd(s->loop, s->warden_watch);
	if (s->warden >= 0)
		close(s->warden);
	close(s->dir);
	close(s->volumes);
	free(s);
}

const struct machines_facts *machines_facts(const struct machines *s)
{
	return &s->facts;
}

int machines_volumes_dir(const struct machines *s)
{
	return s->volumes;
}

const char *machine_id(const struct machine *m)
{
	return m->id;
}

static int listen_for_shim(struct machine *m)
{
	struct sockaddr_un a = address_of(m);
	char name[MACHINE_ID_MAX + 16];
	file_name(m, "sock", name);
	unlinkat(m->owner->dir, name, 0);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* Collects what START carries; what is missing fails the machine. */
static int gather(struct machine *m, const struct machine_spec *spec)
{
	char console[MACHINE_ID_MAX + 16];
	file_name(m, "console", console);
	int fd = listen_for_shim(m);
	if (fd < 0)
		return fd;
	m->fds[m->fd_count++] = fd;
	fd = openat(m->owner->dir, console, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	m->fds[m->fd_count++] = fd;
	const char *const files[] = {spec->kernel, spec->initrd};
	for (int i = 0; spec->kernel && i < 2; i++) {
		fd = files[i] ? open(files[i], O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			return files[i] ? -errno : -EINVAL;
		m->fds[m->fd_count++] = fd;
	}
	for (size_t i = 0; i < spec->port_count; i++) {
		fd = fcntl(spec->ports[i].tap_fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		m->fds[m->fd_count++] = fd;
		memcpy(m->start.mac[i], spec->ports[i].mac, 6);
	}
	return 0;
}

static bool fits(const char *text, size_t cap)
{
	return text && strlen(text) > 0 && strlen(text) < cap;
}

static int take_disk(struct disk *to, const struct machine_disk *from)
{
	if (!fits(from->volume, sizeof(to->volume)) || !fits(from->serial, 21))
		return -EINVAL;
	snprintf(to->volume, sizeof(to->volume), "%s", from->volume);
	snprintf(to->serial, sizeof(to->serial), "%s", from->serial);
	to->iops = from->iops;
	to->mib_per_s = from->mib_per_s;
	return 0;
}

struct machine *machine_start(struct machines *s, const struct machine_spec *spec, void *ctx)
{
	struct machine *m = new_machine(s, spec->id);
	m->ctx = ctx;
	m->start = (struct warden_request){.verb = WARDEN_START,
	                                   .number = ++s->next_number,
	                                   .has_kernel = spec->kernel != NULL,
	                                   .vcpus = spec->vcpus,
	                                   .memory_mb = spec->memory_mb,
	                                   .cpu_percent = spec->cpu_percent,
	                                   .port_count = (uint32_t)spec->port_count};
	int error = fits(spec->id, sizeof(m->id)) && spec->disk_count <= MACHINE_DISKS_MAX &&
	                            spec->port_count <= MACHINE_PORTS_MAX &&
	                            (!spec->cmdline || strlen(spec->cmdline) < MACHINE_CMDLINE_MAX)
	                    ? 0
	                    : -EINVAL;
	for (size_t i = 0; i < spec->disk_count && !error; i++)
		error = take_disk(&m->disks[m->disk_count++], &spec->disks[i]);
	if (!error) {
		snprintf(m->start.name, sizeof(m->start.name), "%s", m->id);
		snprintf(m->start.cmdline, sizeof(m->start.cmdline), "%s", spec->cmdline ? spec->cmdline : "");
		error = gather(m, spec);
	}
	if (!error && warden_check(&m->start, sizeof(m->start), m->fd_count) < 0)
		error = -EINVAL;
	if (error) {
		drop_fds(m);
		fail_later(m, error);
	} else {
		send_start(m);
	}
	return m;
}

static void pull_plug(void *ctx)
{
	struct machine *m = ctx;
	m->plug = NULL;
	if (ask_simple(m, SHIM_QUIT) < 0)
		kill_slot(m->owner, m->slot);
}

void machine_stop(struct machine *m, int64_t grace_us)
{
	if (m->state == MACHINE_OVER)
		return;
	m->stopped = true;
	if (m->state != MACHINE_RUNNING || grace_us <= 0 || ask_simple(m, SHIM_POWER) < 0)
		grace_us = 0;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = loop_add_timer(m->owner->loop, grace_us, pull_plug, m);
}

void machine_reset(struct machine *m)
{
	ask_simple(m, SHIM_RESET);
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	char name[MACHINE_ID_MAX + 16];
	if (m->has_slot)
		kill_slot(m->owner, m->slot);
	else if (m->sock >= 0)
		ask_simple(m, SHIM_QUIT);
	static const char *const suffixes[] = {"sock", "console"};
	for (int i = 0; i < 2; i++) {
		file_name(m, suffixes[i], name);
		unlinkat(m->owner->dir, name, 0);
	}
	forget(m);
}

int machine_attach(struct machine *m, const struct machine_disk *d)
{
	struct disk disk = {0};
	int error = m->state == MACHINE_RUNNING ? take_disk(&disk, d) : -ESRCH;
	return error ? error : ask_disk(m, &disk);
}

int machine_detach(struct machine *m, const char *volume)
{
	struct shim_request r = {.verb = SHIM_UNPLUG};
	if (m->state != MACHINE_RUNNING || !fits(volume, sizeof(r.disk)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", volume);
	return ask(m, &r, NULL, 0);
}

int machine_resize(struct machine *m, const char *volume, uint64_t size)
{
	struct shim_request r = {.verb = SHIM_RESIZE, .size = size};
	if (m->state != MACHINE_RUNNING || !fits(volume, sizeof(r.disk)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", volume);
	return ask(m, &r, NULL, 0);
}

/* ---- snapshots: files are made on a worker thread, then QEMU goes over, then the new file takes the volume's name ---- */

struct freeze {
	struct machine *m;
	struct shim_request r;
	int dir, fd, error;
};

static void freeze_end(void *job)
{
	struct freeze *f = job;
	f->error = volume_freeze_end(f->dir, f->r.disk);
}

static void freeze_begin(void *job)
{
	struct freeze *f = job;
	f->error = volume_freeze_begin(f->dir, f->r.disk, f->r.layer);
	f->fd = f->error ? -1 : volume_open_new(f->dir, f->r.disk);
	if (!f->error && f->fd < 0)
		f->error = f->fd;
}

static void job_over(struct machine *m)
{
	if (--m->jobs == 0 && m->freed) {
		free(m->console);
		free(m);
	}
}

static void frozen(void *job)
{
	struct freeze *f = job;
	struct machine *m = f->m;
	if (!m->freed)
		m->owner->events->disk(m->ctx, m, f->r.disk, f->error);
	job_over(m);
	free(f);
}

static void begun(void *job)
{
	struct freeze *f = job;
	struct machine *m = f->m;
	bool done = f->error == -EALREADY;
	if (!m->freed && !f->error)
		f->error = m->state == MACHINE_RUNNING ? ask(m, &f->r, &f->fd, 1) : -ESRCH;
	if (f->fd >= 0)
		close(f->fd);
	if (!m->freed && (f->error || done))
		m->owner->events->disk(m->ctx, m, f->r.disk, done ? 0 : f->error);
	job_over(m);
	free(f);
}

static struct freeze *new_freeze(struct machine *m, const struct shim_request *r)
{
	struct freeze *f = calloc(1, sizeof(*f));
	if (!f)
		die("out of memory");
	*f = (struct freeze){.m = m, .r = *r, .dir = m->owner->volumes, .fd = -1};
	m->jobs++;
	return f;
}

static void overlaid(struct machine *m, const struct shim_request *r, int error)
{
	if (error)
		m->owner->events->disk(m->ctx, m, r->disk, error);
	else
		work_add(m->owner->work, freeze_end, frozen, new_freeze(m, r));
}

int machine_snapshot(struct machine *m, const char *volume, const char *layer)
{
	struct shim_request r = {.verb = SHIM_OVERLAY};
	if (m->state != MACHINE_RUNNING || !fits(volume, sizeof(r.disk)) || !fits(layer, sizeof(r.layer)))
		return -ESRCH;
	snprintf(r.disk, sizeof(r.disk), "%s", volume);
	snprintf(r.layer, sizeof(r.layer), "%s", layer);
	work_add(m->owner->work, freeze_begin, begun, new_freeze(m, &r));
	return 0;
}

struct str machine_console(struct machine *m)
{
	char name[MACHINE_ID_MAX + 16];
	struct stat st;
	file_name(m, "console", name);
	int fd = openat(m->owner->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return S("");
	if (!m->console && !(m->console = malloc(MACHINE_CONSOLE_BYTES)))
		die("out of memory");
	off_t from = st.st_size > MACHINE_CONSOLE_BYTES ? st.st_size - MACHINE_CONSOLE_BYTES : 0;
	ssize_t n = pread(fd, m->console, MACHINE_CONSOLE_BYTES, from);
	close(fd);
	return str_of(m->console, n > 0 ? (size_t)n : 0);
}

void machine_usage(const struct machine *m, struct machine_usage *ret)
{
	*ret = m->usage;
}
