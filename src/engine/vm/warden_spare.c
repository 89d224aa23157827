/* Containers start from spares. A spare is a shim with its storage daemon in its sandbox, finished but for whose it is: with a
 * slot, so with a user and ids of its own, and without disk, link, console or size. START takes one, sets its limits and hands it
 * the socket and the console of its machine; from then on it is that machine's and ends with it. Where none waits one is begun, and
 * the request with it: each goes on when its child says that it has come so far, and many do so side by side.
 *
 * Spares are made when containers are started here, one after the other once nobody has asked for a while, and go when nobody asks
 * for long: a machine without containers has none. One whose warden goes sees its socket close, and ends. */
#include "engine/vm/warden_box.h"
#include "engine/vm/warden_state.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SPARES = 3,
	REFILL_US = 250 * 1000,          /* after the last start: what has just started has the processor first */
	AGAIN_US = 1000 * 1000,          /* after one was killed */
	EXPIRE_US = 5 * 60 * 1000 * 1000 /* after it: the spares go */
};

enum spare_state {
	SPARE_MAPS,   /* waits for its users' ids */
	SPARE_STANDS, /* its sandbox is being made */
	SPARE_STARTS, /* its storage daemon starts; it may be given away */
	SPARE_READY
};

struct spare {
	struct warden *warden;
	struct list at;
	enum spare_state state;
	unsigned slot;
	pid_t pid;
	int sock;
	struct loop_fd *watch;
	bool taken; /* the request waits, with its descriptors */
	bool given; /* all but over; the socket is read to its end, for a close before that would cost the child what it has not
	               read */
	struct warden_request request;
	int fds[WARDEN_FD_KERNEL];
};

static void answer(struct warden *w, uint32_t number, unsigned slot, int error)
{
	struct warden_answer a = {.verb = WARDEN_START, .number = number, .slot = slot, .error = error};
	if (error)
		log_warn("a container cannot be started: %s", strerror(-error));
	msg_send(w->sock, &a, sizeof(a), NULL, 0);
}

static void spare_free(struct spare *s)
{
	list_remove(&s->at);
	loop_remove_fd(s->warden->loop, s->watch);
	close(s->sock);
	if (s->taken)
		msg_close_fds(s->fds, WARDEN_FD_KERNEL);
	free(s);
}

static void refill_soon(struct warden *w, int64_t us);

/* Its process ends by itself, and its group goes then. */
static void fail(struct spare *s, int error)
{
	if (s->state == SPARE_READY) {
		log_warn("a prepared container has ended");
		refill_soon(s->warden, AGAIN_US);
	} else if (!s->taken) {
		log_warn("a container cannot be prepared: %s", strerror(-error));
	} else if (!s->given) {
		answer(s->warden, s->request.number, s->slot, error);
	}
	spare_free(s);
}

static int give(struct spare *s)
{
	struct warden *w = s->warden;
	int error = warden_limit(w, &s->request, s->slot);
	if (!error)
		error = msg_send(s->sock, &s->request, sizeof(s->request), s->fds, WARDEN_FD_KERNEL);
	if (error)
		return error;
	list_each (&w->machines, struct held_machine, at, m)
		if (m->slot == s->slot)
			m->spare = false;
	answer(w, s->request.number, s->slot, 0);
	s->given = true;
	if (s->state == SPARE_READY)
		spare_free(s);
	return 0;
}

static void spare_speaks(void *ctx, uint32_t events)
{
	(void)events;
	struct spare *s = ctx;
	struct warden *w = s->warden;
	int32_t error = 0;
	if (s->state == SPARE_MAPS)
		error = warden_box_map(w->world, w->uid_base, s->slot, s->pid, s->sock);
	else if (recv(s->sock, &error, sizeof(error), MSG_DONTWAIT) != sizeof(error))
		error = -EIO;
	if (error) {
		fail(s, error);
		return;
	}
	s->state++;
	if (s->state == SPARE_READY) {
		refill_soon(w, 0);
		if (s->given)
			spare_free(s);
	} else if (s->state == SPARE_STARTS && s->taken && (error = give(s)) < 0) {
		fail(s, error);
	}
}

static int spare_new(struct warden *w, struct spare **ret)
{
	struct warden_request r = {.verb = WARDEN_START, .is_box = 1, .vcpus = 1, .memory_mb = 0, .cpu_percent = 100};
	char group[CGROUP_NAME_MAX];
	struct spare *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct spare){.warden = w};
	int error = warden_take_slot(w, &s->slot);
	if (error) {
		free(s);
		return error;
	}
	error = warden_limit(w, &r, s->slot);
	if (!error)
		error = warden_clone(w, &r, NULL, s->slot, &s->pid, &s->sock);
	if (error) {
		warden_group_name(s->slot, group);
		cgroup_remove(w->cgroups, group);
		free(s);
		return error;
	}
	warden_hold(w, s->slot, s->pid)->spare = true;
	s->watch = loop_add_fd(w->loop, s->sock, EPOLLIN, spare_speaks, s);
	list_push(&w->spares, &s->at);
	*ret = s;
	return 0;
}

/* One at a time. */
static void refill(void *ctx)
{
	struct warden *w = ctx;
	struct spare *made;
	unsigned n = 0;
	w->refill = NULL;
	list_each (&w->spares, struct spare, at, s) {
		if (s->state != SPARE_READY)
			return; /* it comes here when it is */
		n += !s->given;
	}
	int error = n < SPARES ? spare_new(w, &made) : 0;
	if (error)
		log_warn("a container cannot be prepared: %s", strerror(-error));
}

static void refill_soon(struct warden *w, int64_t us)
{
	if (us)
		loop_remove_timer(w->loop, w->refill);
	else if (w->refill)
		return;
	w->refill = loop_add_timer(w->loop, us, refill, w);
}

static void expire(void *ctx)
{
	struct warden *w = ctx;
	w->expire = NULL;
	warden_drop_spares(w);
}

void warden_drop_spares(struct warden *w)
{
	loop_remove_timer(w->loop, w->refill);
	w->refill = NULL;
	list_each (&w->spares, struct spare, at, s)
		if (!s->taken)
			spare_free(s);
}

/* The one that has come furthest. */
static struct spare *best(struct warden *w)
{
	struct spare *found = NULL;
	list_each (&w->spares, struct spare, at, s)
		if (!s->taken && (!found || s->state > found->state))
			found = s;
	return found;
}

static int take(struct spare *s, const struct warden_request *r, const int *fds)
{
	for (int i = 0; i < WARDEN_FD_KERNEL; i++)
		s->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	s->taken = true;
	s->request = *r;
	for (int i = 0; i < WARDEN_FD_KERNEL; i++)
		if (s->fds[i] < 0)
			return -EMFILE;
	return 0;
}

/* One that has been killed may not have been heard of yet. */
static bool take_waiting(struct warden *w, const struct warden_request *r, const int *fds)
{
	for (struct spare *s; (s = best(w)) && s->state >= SPARE_STARTS; spare_free(s))
		if (take(s, r, fds) == 0 && give(s) == 0)
			return true;
	return false;
}

/* One that has not come so far, or a new one. */
static int begin(struct warden *w, const struct warden_request *r, const int *fds)
{
	struct spare *s = best(w);
	int error = s ? 0 : spare_new(w, &s);
	if (!error && (error = take(s, r, fds)) < 0)
		spare_free(s);
	return error;
}

void warden_start_box(struct warden *w, const struct warden_request *r, const int *fds)
{
	static struct sock_fprog filter;
	int error = access(storage_program, X_OK) < 0 || w->world->template_fd < 0 ? -ENOTSUP : 0;
	if (!error && !w->box_filter && (error = box_filter_compile(&filter)) == 0)
		w->box_filter = &filter;
	if (!error && !take_waiting(w, r, fds))
		error = begin(w, r, fds);
	if (error)
		answer(w, r->number, 0, error);
	refill_soon(w, REFILL_US);
	loop_remove_timer(w->loop, w->expire);
	w->expire = loop_add_timer(w->loop, EXPIRE_US, expire, w);
}
