/* What machine.c (the face), machine_line.c (what is said to warden and shims) and machine_disk.c (disks and snapshots) have in
 * common. */
#pragma once
#include "engine/vm/machine.h"
#include "engine/vm/proto.h"

#include "base/list.h"

#include <stddef.h>
#include <sys/un.h>

enum { MACHINE_FILE_MAX = MACHINE_ID_MAX + 16, MACHINE_DISK_USES = 27 };

enum machine_state {
	MACHINE_WAITING,  /* for the warden to answer */
	MACHINE_PLUGGING, /* disks, and a container's links beside them */
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
	struct list box_asks;
	uint32_t next_number;
	bool scanned, answered;
	char kvm_boot[40]; /* from the warden */
	char kvm_kernel[256], kvm_initrd[256];
	struct machine *kvm_probe;
	struct loop_timer *kvm_late;
	size_t kvm_heard; /* of its console */
};

struct machine_plug {
	char node[16]; /* containers: in /dev, "" for the root */
	char volume[MACHINE_NAME_MAX], serial[MACHINE_NAME_MAX];
	uint32_t iops, mib_per_s, burst, burst_s;
};

/* What a shim was asked and has not answered. */
struct asked {
	struct list at;
	struct shim_request r;
	struct machine_session *session; /* SESSION: who waits for it */
	machine_screen_fn *screen;       /* SCREEN: the same */
	void *screen_ctx;
	int failed; /* UNPLUG: it takes back what could not be attached, for this reason */
};

/* What the warden was asked for a container and has not answered. */
struct box_ask {
	struct list at;
	struct machine *m;
	uint32_t number;
	bool is_link;
	struct shim_request disk; /* BLOCK: as the shim was asked for it; LINK to a running one: `disk` is the port's name */
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
	bool is_box;
	int handles[HANDLES];
	int links[MACHINE_PORTS_MAX]; /* of ports that are still to be moved in; -1: none */
	unsigned link_count, linked;
	bool links_follow;                            /* machine_give_ports() has not been called yet */
	struct machine_plug disks[MACHINE_DISKS_MAX]; /* to be plugged in before it runs */
	unsigned disk_count, plugged;
	uint32_t slot;
	bool has_slot, stopped;
	bool down; /* machine_down() */
	bool held; /* its first instruction waits for machine_release() */
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
	struct machine_disk_use disk_uses[MACHINE_DISK_USES];
	size_t disk_use_count;
	char *console;
	struct machine_session *sessions[MACHINE_SESSIONS]; /* by port */
	unsigned next_session;
	/* adopted: who it belongs to is asked when the shim has said how it is */
	bool adopted;
	bool cut_off; /* it was found before it ran, and is ended */
};

/* machine_line.c */
/* Opens the conversation with the warden, and finds machines of before. */
void machines_open_channel(void *ctx);
/* Sends START if it was not sent yet and there is somebody to send it to. */
void machine_send_start(struct machine *m);
/* Asks the shim; its answer comes later. */
int machine_ask(struct machine *m, struct shim_request *r, const int *fds, size_t nfds);
int machine_ask_simple(struct machine *m, enum shim_verb verb);
int machine_ask_disk(struct machine *m, const struct machine_plug *d);
/* The next step towards running. */
void machine_go_on(struct machine *m);
void machine_report_end(struct machine *m, enum machine_end how, int error);
void machines_kill_slot(struct machines *s, uint32_t slot);
void machines_limit_cpu(struct machines *s, uint32_t slot, unsigned vcpus, unsigned percent);
void machine_drop_fds(struct machine *m);

/* machine.c */
struct machine *machine_new(struct machines *s, const char *id);
void machine_file_name(const struct machine *m, const char *suffix, char ret[MACHINE_FILE_MAX]);
struct sockaddr_un machine_address(const struct machine *m);
/* From outside a callback, so it is said later. */
void machine_fail_later(struct machine *m, int error);
int machine_plug_from(struct machine_plug *to, const struct machine_disk *from);

/* machine_box.c: what a container needs besides. */
void machine_box_start(struct machine *m);
void machine_box_links(struct machine *m);                             /* all of them are known */
int machine_box_link(struct machine *m, const struct machine_port *p); /* while it runs */
/* The shim's handles; its file of a disk; what it was given is in place. */
void machine_box_handles(struct machine *m, int error, const int *fds, size_t nfds);
void machine_box_file(struct machine *m, const struct shim_request *r, int fd);
void machine_box_given(struct machine *m, const struct shim_request *r, int error);
void machines_box_answer(struct machines *s, const struct warden_answer *a, const int *fds, size_t nfds);
void machines_box_lost(struct machines *s); /* the warden has gone */
void machine_box_forget(struct machine *m);

/* machine_session.c: the shim has answered; the machine is forgotten or over. */
void machine_session_answered(struct machine_session *s, int error, int fd);
void machine_session_orphan(struct machine *m);

/* machine_kvm.c */
void machines_kvm_begin(struct machines *s); /* facts and files may be known now */
void machines_kvm_started(struct machine *probe);
void machines_kvm_ended(struct machine *probe, enum machine_end how);

/* machine_screen.c: the shim has answered, or will not any more. */
void machine_screen_answered(const struct asked *q, int fd, int error);

/* machine_disk.c */
/* The shim has gone over to the new file, or not. */
void machine_overlaid(struct machine *m, const struct shim_request *r, int error);
