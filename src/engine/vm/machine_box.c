/* A container's way to running: its shim says which namespaces it has made; its links are made, one by one; meanwhile each disk
 * goes from the files to the shim's storage daemon, as what it offers to the warden, and as a mount or a device back to the shim.
 * Nothing else waits for a link. */
#include "engine/vm/machine_state.h"

#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int ask_warden(struct machine *m, struct warden_request *r, const int *fds, size_t nfds, const struct shim_request *disk)
{
	struct machines *s = m->owner;
	struct box_ask *a = calloc(1, sizeof(*a));
	if (!a)
		die("out of memory");
	r->number = a->number = ++s->next_number;
	r->slot = m->slot;
	int error = s->warden < 0 ? -EPIPE : msg_send(s->warden, r, sizeof(*r), fds, nfds);
	if (error) {
		free(a);
		return error;
	}
	a->m = m;
	a->is_link = r->verb == WARDEN_LINK;
	if (disk)
		a->disk = *disk;
	list_push(&s->box_asks, &a->at);
	return 0;
}

/* The answer brings the event, with the error of before. */
static int take_back(struct machine *m, const struct shim_request *disk, int error)
{
	struct shim_request r = {.verb = SHIM_UNPLUG};
	memcpy(r.disk, disk->disk, sizeof(r.disk));
	int e = m->state == MACHINE_RUNNING ? machine_ask(m, &r, NULL, 0) : -ESRCH;
	if (!e)
		list_last(&m->asked, struct asked, at)->failed = error;
	return e;
}

static void disk_done(struct machine *m, const struct shim_request *disk, int error)
{
	if (m->state != MACHINE_PLUGGING) {
		/* what the storage daemon has already got would keep the volume from ever being attached again */
		if (!error || take_back(m, disk, error) < 0)
			m->owner->events->disk(m->ctx, m, disk->disk, error);
		return;
	}
	m->plugged++;
	if (error)
		machine_report_end(m, MACHINE_NOT_STARTED, error);
	else
		machine_go_on(m);
}

static void next_link(struct machine *m)
{
	struct warden_request r = {.verb = WARDEN_LINK, .index = m->linked};
	if (m->linked == m->link_count) {
		if (m->plugged == m->disk_count)
			machine_go_on(m);
		return;
	}
	const int fds[] = {m->links[m->linked], m->handles[HANDLE_NET]};
	int error = ask_warden(m, &r, fds, 2, NULL);
	if (error)
		machine_report_end(m, MACHINE_NOT_STARTED, error);
}

int machine_box_link(struct machine *m, const struct machine_port *p)
{
	struct warden_request r = {.verb = WARDEN_LINK};
	struct shim_request port = {0};
	const int fds[] = {p->fd, m->handles[HANDLE_NET]};
	snprintf(port.disk, sizeof(port.disk), "%s", p->id);
	return m->state != MACHINE_RUNNING || fds[1] < 0 ? -ESRCH : ask_warden(m, &r, fds, 2, &port);
}

void machine_box_start(struct machine *m)
{
	m->state = MACHINE_PLUGGING;
	int error = machine_ask_simple(m, SHIM_HANDLES);
	if (error)
		machine_report_end(m, MACHINE_NOT_STARTED, error);
	else
		machine_go_on(m);
}

void machine_box_links(struct machine *m)
{
	if (m->state == MACHINE_PLUGGING && m->handles[HANDLE_NET] >= 0)
		next_link(m);
}

void machine_box_handles(struct machine *m, int error, const int *fds, size_t nfds)
{
	if (!error && nfds != HANDLES)
		error = -EIO;
	for (size_t i = 0; i < HANDLES && !error; i++)
		m->handles[i] = dup(fds[i]);
	if (m->state != MACHINE_PLUGGING)
		return; /* a container that was found again */
	if (error)
		machine_report_end(m, MACHINE_NOT_STARTED, error);
	else if (!m->links_follow)
		next_link(m);
}

void machine_box_file(struct machine *m, const struct shim_request *disk, int fd)
{
	struct warden_request r = {.verb = WARDEN_BLOCK, .is_root = disk->is_root};
	snprintf(r.name, sizeof(r.name), "%s", disk->layer);
	const int fds[] = {fd, m->handles[HANDLE_DEVICES], m->handles[HANDLE_USERS]};
	int error = fd < 0 || m->handles[HANDLE_DEVICES] < 0 ? -EIO : ask_warden(m, &r, fds, BLOCK_FDS, disk);
	if (error)
		disk_done(m, disk, error);
}

static void give(struct machine *m, const struct shim_request *disk, const int *fds, size_t nfds)
{
	struct shim_request r = {.verb = SHIM_GIVE};
	memcpy(r.disk, disk->disk, sizeof(r.disk));
	if (!disk->is_root)
		memcpy(r.serial, disk->layer, sizeof(r.serial));
	int error = nfds != 2 ? -EIO : machine_ask(m, &r, fds, 2);
	if (error)
		disk_done(m, disk, error);
}

void machine_box_given(struct machine *m, const struct shim_request *disk, int error)
{
	disk_done(m, disk, error);
}

void machines_box_answer(struct machines *s, const struct warden_answer *a, const int *fds, size_t nfds)
{
	list_each (&s->box_asks, struct box_ask, at, q) {
		if (q->number != a->number)
			continue;
		struct machine *m = q->m;
		list_remove(&q->at);
		if (a->verb == WARDEN_BLOCK) {
			if (a->error)
				disk_done(m, &q->disk, a->error);
			else
				give(m, &q->disk, fds, nfds);
		} else if (m->state == MACHINE_RUNNING) {
			m->owner->events->port(m->ctx, m, q->disk.disk, a->error);
		} else if (a->error) {
			machine_report_end(m, MACHINE_NOT_STARTED, a->error);
		} else {
			close(m->links[m->linked]);
			m->links[m->linked++] = -1;
			next_link(m);
		}
		free(q);
		return;
	}
}

void machines_box_lost(struct machines *s)
{
	while (!list_empty(&s->box_asks)) {
		struct box_ask *q = list_first(&s->box_asks, struct box_ask, at);
		struct machine *m = q->m;
		list_remove(&q->at);
		if (m->state == MACHINE_RUNNING && q->is_link)
			m->owner->events->port(m->ctx, m, q->disk.disk, -EAGAIN);
		else if (m->state == MACHINE_RUNNING)
			disk_done(m, &q->disk, -EAGAIN);
		else
			machine_report_end(m, MACHINE_NOT_STARTED, -EAGAIN);
		free(q);
	}
}

void machine_box_forget(struct machine *m)
{
	list_each (&m->owner->box_asks, struct box_ask, at, q)
		if (q->m == m) {
			list_remove(&q->at);
			free(q);
		}
	msg_close_fds(m->handles, HANDLES);
	msg_close_fds(m->links, MACHINE_PORTS_MAX);
	for (int i = 0; i < HANDLES; i++)
		m->handles[i] = -1;
	for (int i = 0; i < MACHINE_PORTS_MAX; i++)
		m->links[i] = -1;
}
