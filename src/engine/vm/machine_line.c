/* The conversations with the warden and with shims. What is asked of a shim is answered in order, so requests under way are a
 * queue. */
#include "engine/vm/machine_state.h"

#include "base/log.h"
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"
#include "engine/volume/volume.h"
#include "io/msg.h"

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

enum { CHANNEL_AGAIN_US = 200 * 1000 };
_Static_assert(MACHINE_CHAIN_MAX == (int)VOLUME_CHAIN_MAX && MACHINE_CHAIN_MAX <= (int)MSG_MAX_FDS,
               "every volume can be plugged in");

void machine_report_end(struct machine *m, enum machine_end how, int error)
{
	if (m->state == MACHINE_OVER)
		return;
	m->state = MACHINE_OVER;
	loop_remove_timer(m->owner->loop, m->plug);
	m->plug = NULL;
	list_each (&m->asked, struct asked, at, a) {
		list_remove(&a->at);
		if (a->r.verb >= SHIM_DISK && a->r.verb <= SHIM_RESIZE)
			m->owner->events->disk(m->ctx, m, a->r.disk, -ESRCH);
		machine_screen_answered(a, -1, -ESRCH);
		free(a);
	}
	machine_session_orphan(m);
	if (m == m->owner->kvm_probe)
		machines_kvm_ended(m, how);
	else
		m->owner->events->ended(m->ctx, m, how, error);
}

/* ---- the shim ---- */

int machine_ask(struct machine *m, struct shim_request *r, const int *fds, size_t nfds)
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

int machine_ask_simple(struct machine *m, enum shim_verb verb)
{
	struct shim_request r = {.verb = verb};
	return machine_ask(m, &r, NULL, 0);
}

int machine_ask_disk(struct machine *m, const struct machine_plug *d)
{
	struct shim_request r = {.verb = SHIM_DISK,
	                         .iops = d->iops,
	                         .mib_per_s = d->mib_per_s,
	                         .burst = {d->burst, d->burst_s},
	                         .is_root = m->is_box && !d->node[0]};
	char names[VOLUME_CHAIN_MAX][VOLUME_NAME_MAX];
	int fds[MACHINE_CHAIN_MAX], n = volume_chain(m->owner->volumes, d->volume, names), error = n < 0 ? n : 0;
	memcpy(r.disk, d->volume, sizeof(r.disk));
	memcpy(r.serial, d->serial, sizeof(r.serial));
	snprintf(r.layer, sizeof(r.layer), "%s", d->node);
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
		r.raw |= !qcow2 ? 1ull << opened : 0;
		/* the storage daemon opens them again, as somebody else; nobody but us can come to where they are */
		if (m->is_box && fchmod(fds[opened], opened ? 0644 : 0666) < 0)
			error = -errno;
		opened++;
	}
	r.files = opened;
	if (!error)
		error = machine_ask(m, &r, fds, opened);
	msg_close_fds(fds, opened);
	return error;
}

void machine_go_on(struct machine *m)
{
	if (m->plugged == m->disk_count && (m->held || m->links_follow || m->linked < m->link_count))
		return;
	int error = m->plugged < m->disk_count ? machine_ask_disk(m, &m->disks[m->plugged]) : machine_ask_simple(m, SHIM_RUN);
	if (error)
		machine_report_end(m, MACHINE_NOT_STARTED, error);
}

/* A shim of an earlier build sends no file, or one of another form. */
static void take_disk_uses(struct machine *m, int fd)
{
	struct shim_disk_use all[MACHINE_DISK_USES];
	ssize_t n = fd < 0 ? -1 : pread(fd, all, sizeof(all), 0);
	m->disk_use_count = 0;
	if (n > 0 && (size_t)n % sizeof(*all))
		return;
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(*all); i++) {
		struct machine_disk_use *u = &m->disk_uses[m->disk_use_count++];
		*u = (struct machine_disk_use){.read_bytes = all[i].read_bytes,
		                               .write_bytes = all[i].write_bytes,
		                               .read_ops = all[i].read_ops,
		                               .write_ops = all[i].write_ops,
		                               .read_ns = all[i].read_ns,
		                               .write_ns = all[i].write_ns,
		                               .waiting = all[i].waiting};
		snprintf(u->volume, sizeof(u->volume), "%.*s", (int)sizeof(all[i].disk) - 1, all[i].disk);
	}
}

static void take_usage(struct machine *m, const struct shim_answer *a)
{
	m->usage = (struct machine_usage){.cpu_us = a->cpu_us,
	                                  .memory_bytes = a->memory_bytes,
	                                  .disk_read_bytes = a->read_bytes,
	                                  .disk_write_bytes = a->write_bytes,
	                                  .disk_read_ops = a->read_ops,
	                                  .disk_write_ops = a->write_ops,
	                                  .at_us = loop_now_us(m->owner->loop)};
}

/* The warden has answered and every machine of before has said whose it is. */
static void check_settled(struct machines *s)
{
	if (s->facts.known || !s->answered)
		return;
	list_each (&s->all, struct machine, at, m)
		if (m->adopted)
			return;
	s->facts.known = true;
	machines_kvm_begin(s);
	s->events->settled(s->ctx);
}

static void is_adopted(struct machine *m, const struct shim_answer *a)
{
	struct machines *s = m->owner;
	m->adopted = false;
	m->slot = a->slot;
	m->has_slot = true;
	m->is_box = a->is_box;
	if (m->is_box)
		machine_ask_simple(m, SHIM_HANDLES); /* for disks that are attached later */
	m->state = MACHINE_RUNNING;
	m->down = a->running == 2;
	m->cut_off = !a->running && !a->end; /* an api died while it plugged in its disks */
	m->ctx = s->found(s->ctx, m, m->id);
	if (!m->ctx) {
		machine_free(m);
		check_settled(s);
		return;
	}
	check_settled(s);
	take_usage(m, a);
	if (a->running)
		s->events->started(m->ctx, m);
	else if (m->cut_off)
		machine_ask_simple(m, SHIM_QUIT);
}

/* The shim had it half, from an api that died, and has let go of it. */
static int ask_again(struct machine *m, const struct shim_request *r)
{
	struct machine_plug d = {.iops = r->iops, .mib_per_s = r->mib_per_s, .burst = r->burst.most, .burst_s = r->burst.seconds};
	snprintf(d.volume, sizeof(d.volume), "%s", r->disk);
	snprintf(d.serial, sizeof(d.serial), "%s", r->serial);
	snprintf(d.node, sizeof(d.node), "%.*s", (int)sizeof(d.node) - 1, r->layer);
	return machine_ask_disk(m, &d);
}

static void answered(struct machine *m, const struct asked *q, const struct shim_answer *a, const int *fds, size_t nfds)
{
	int again = 0;
	switch (q->r.verb) {
	case SHIM_HANDLES:
		machine_box_handles(m, a->error, fds, nfds);
		break;
	case SHIM_STATUS:
		take_disk_uses(m, nfds == 1 ? fds[0] : -1);
		if (m->adopted)
			is_adopted(m, a);
		else
			take_usage(m, a);
		break;
	case SHIM_DISK:
		if (m->is_box && !a->error) {
			machine_box_file(m, &q->r, nfds == 1 ? fds[0] : -1);
			break;
		}
		if (m->is_box && m->state == MACHINE_RUNNING && a->error == -EAGAIN && (again = ask_again(m, &q->r)) == 0)
			break;
		if (m->state == MACHINE_PLUGGING) {
			m->plugged++;
			if (a->error)
				machine_report_end(m, MACHINE_NOT_STARTED, a->error);
			else
				machine_go_on(m);
			break;
		}
		m->owner->events->disk(m->ctx, m, q->r.disk, again ? again : a->error);
		break;
	case SHIM_GIVE:
		machine_box_given(m, &q->r, a->error);
		break;
	case SHIM_SESSION:
		machine_session_answered(q->session, a->error, nfds == 1 ? fds[0] : -1);
		break;
	case SHIM_SCREEN:
		machine_screen_answered(q, nfds == 1 ? fds[0] : -1, a->error);
		break;
	case SHIM_PORT:
	case SHIM_UNPORT:
		m->owner->events->port(m->ctx, m, q->r.disk, a->error);
		break;
	case SHIM_UNPLUG:
	case SHIM_RESIZE:
		m->owner->events->disk(m->ctx, m, q->r.disk, q->failed ? q->failed : a->error);
		break;
	case SHIM_RESET:
		if (q->r.files != 1)
			break;
		m->down = !a->error;
		m->owner->events->down(m->ctx, m, a->error);
		break;
	case SHIM_RUN:
		if (m->state == MACHINE_RUNNING) { /* machine_up() */
			if (a->error)
				machine_ask_simple(m, SHIM_QUIT);
			break;
		}
		if (a->error) {
			machine_report_end(m, MACHINE_NOT_STARTED, a->error);
			break;
		}
		m->state = MACHINE_RUNNING;
		if (m == m->owner->kvm_probe)
			machines_kvm_started(m);
		else
			m->owner->events->started(m->ctx, m);
		break;
	default:
		break;
	}
}

static void shim_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct machine *m = ctx;
	struct shim_answer a;
	int fds[HANDLES];
	size_t nfds = 0;
	ssize_t n = msg_recv(m->sock, &a, sizeof(a), fds, HANDLES, &nfds);
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
		if (m->cut_off)
			how = MACHINE_CUT_OFF;
		if (n != sizeof(a)) {
			loop_remove_fd(m->owner->loop, m->watch);
			m->watch = NULL;
		}
		if (m->adopted) {
			/* over before anybody asked: whose it was is heard first */
			m->adopted = false;
			struct machines *s = m->owner;
			m->ctx = s->found(s->ctx, m, m->id);
			if (!m->ctx) {
				machine_free(m);
				check_settled(s);
				return;
			}
			check_settled(s);
		}
		bool early = m->state == MACHINE_PLUGGING;
		machine_report_end(m, early ? MACHINE_NOT_STARTED : how, early ? -EIO : 0);
		return;
	}
	list_each (&m->asked, struct asked, at, q)
		if (q->r.number == a.number) {
			list_remove(&q->at);
			if (q->r.verb == SHIM_OVERLAY)
				machine_overlaid(m, &q->r, a.error);
			else
				answered(m, q, &a, fds, nfds);
			free(q);
			break;
		}
	msg_close_fds(fds, nfds);
}

static int connect_shim(struct machine *m)
{
	struct sockaddr_un to = machine_address(m);
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

void machine_drop_fds(struct machine *m)
{
	msg_close_fds(m->fds, m->fd_count);
	m->fd_count = 0;
}

void machine_send_start(struct machine *m)
{
	struct machines *s = m->owner;
	if (s->warden < 0 || !m->fd_count)
		return;
	int error = msg_send(s->warden, &m->start, sizeof(m->start), m->fds, m->fd_count);
	if (error == -EAGAIN)
		return; /* with the next answer */
	machine_drop_fds(m);
	if (error)
		machine_fail_later(m, error);
}

static void send_all(struct machines *s)
{
	list_each (&s->all, struct machine, at, m)
		machine_send_start(m);
}

void machines_kill_slot(struct machines *s, uint32_t slot)
{
	struct warden_request r = {.verb = WARDEN_KILL, .number = slot};
	if (s->warden >= 0)
		msg_send(s->warden, &r, sizeof(r), NULL, 0);
}

void machines_limit_cpu(struct machines *s, uint32_t slot, unsigned vcpus, unsigned percent)
{
	struct warden_request r = {.verb = WARDEN_CPU, .number = slot, .vcpus = vcpus, .cpu_percent = percent};
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
			machine_report_end(m, MACHINE_NOT_STARTED, error);
			return;
		}
		if (m->is_box) {
			machine_box_start(m);
			return;
		}
		m->state = MACHINE_PLUGGING;
		machine_go_on(m);
		return;
	}
	/* nobody wants it any more */
	if (!a->error)
		machines_kill_slot(s, a->slot);
}

/* Machines of before have sockets. */
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
		struct machine *m = machine_new(s, id);
		m->adopted = true;
		/* one without a shim ended with the cloud or with the machine under it: whoever wants it starts it anew */
		if (connect_shim(m) < 0 || machine_ask_simple(m, SHIM_STATUS) < 0)
			machine_free(m);
	}
	closedir(d);
}

static void warden_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct machines *s = ctx;
	union warden_any_answer a;
	int fds[2];
	size_t nfds = 0;
	ssize_t n = msg_recv(s->warden, &a, sizeof(a), fds, 2, &nfds);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		loop_remove_fd(s->loop, s->warden_watch);
		s->warden_watch = NULL;
		close(s->warden);
		s->warden = -1;
		/* what was asked of it is not known to have happened; who asked tries again */
		machines_box_lost(s);
		list_each (&s->all, struct machine, at, m)
			if (m->state == MACHINE_WAITING && !m->fd_count)
				machine_report_end(m, MACHINE_NOT_STARTED, -EAGAIN);
		if (!s->again)
			s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, machines_open_channel, s);
		return;
	}
	if (a.a.verb == WARDEN_FACTS && n == sizeof(a.facts)) {
		if (!s->scanned) {
			s->scanned = true;
			look_for_machines(s);
		}
		s->answered = true;
		s->facts.works = a.facts.works;
		memcpy(s->facts.why_not, a.facts.why_not, sizeof(s->facts.why_not));
		s->facts.why_not[sizeof(s->facts.why_not) - 1] = 0;
		s->facts.containers_work = a.facts.boxes_work;
		memcpy(s->facts.no_containers, a.facts.no_boxes, sizeof(s->facts.no_containers));
		s->facts.no_containers[sizeof(s->facts.no_containers) - 1] = 0;
		memcpy(s->kvm_boot, a.facts.kvm_boot, sizeof(s->kvm_boot));
		s->kvm_boot[sizeof(s->kvm_boot) - 1] = 0;
		check_settled(s);
	} else if (a.a.verb == WARDEN_START && n == sizeof(a.a)) {
		was_started(s, &a.a);
	} else if ((a.a.verb == WARDEN_BLOCK || a.a.verb == WARDEN_LINK) && n == sizeof(a.a)) {
		machines_box_answer(s, &a.a, fds, nfds);
	}
	msg_close_fds(fds, nfds);
	send_all(s);
}

void machines_open_channel(void *ctx)
{
	struct machines *s = ctx;
	struct warden_request r = {.verb = WARDEN_FACTS};
	s->again = NULL;
	int fd = s->cells ? cells_open_channel(s->cells, PRIV_CHANNEL_MACHINE) : -EPIPE;
	if (fd < 0) {
		s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, machines_open_channel, s);
		return;
	}
	s->warden = fd;
	s->warden_watch = loop_add_fd(s->loop, fd, EPOLLIN, warden_speaks, s);
	msg_send(fd, &r, sizeof(r), NULL, 0);
	send_all(s);
}
