/* The QEMU process of one machine: its command line, and its disks by the monitor. For the shim alone. Every disk is a chain of
 * files that come as descriptors; QEMU is never given a path. */
#pragma once
#include "engine/vm/proto.h"
#include "engine/vm/qmp.h"
#include "engine/vm/shim.h"

#include <sys/types.h>

enum { QEMU_DISKS = 27, QEMU_NODES = 64 };

struct qemu_disk {
	char name[MACHINE_NAME_MAX]; /* "": free */
	char layer[MACHINE_NAME_MAX];
	unsigned nodes[QEMU_NODES]; /* numbers of its nodes that were added one by one, oldest first; the last is the top */
	unsigned node_count;
	unsigned sets[QEMU_NODES + MACHINE_CHAIN_MAX]; /* of descriptors */
	unsigned set_count;
	int offer;
};

struct qemu {
	pid_t pid;
	int console;
	int offered;       /* FUSE devices that it has been given a disk for */
	bool offers_files; /* it is the storage daemon of a container: a disk is a file, not a device */
	struct qmp qmp;
	int sessions[MACHINE_SESSIONS]; /* listening: QEMU has them too, and makes a port of each */
	unsigned next;                  /* number of the next node or set of descriptors */
	struct qemu_disk disks[QEMU_DISKS];
	char deleted_port[13];     /* the same of an interface: its address; "": none */
	struct qemu_disk *deleted; /* the guest has let go of it, as an event said */
};

/* Starts it with its processors stopped. */
int qemu_start(struct qemu *q, const struct shim_plan *plan, void (*event)(void *, struct str, const struct json_value *),
               void *ctx);
int qemu_simple(struct qemu *q, const char *command);
int qemu_plug_disk(struct qemu *q, const struct shim_request *r, const int *fds);
/* Asks the guest; when an event says that it is done, qemu_forget_disk() closes the files. */
/* A container's: which of the offers the disk has become. */
int qemu_offer_of(struct qemu *q, const char *name);
int qemu_unplug_disk(struct qemu *q, const char *name);
int qemu_forget_disk(struct qemu *q, const char *name);
/* The guest keeps a device that fails whatever is asked of it; the disk can be forgotten then. */
int qemu_orphan_disk(struct qemu *q, const char *name);
/* What the guest's switching itself off does: the machine ends, or stands still and can be reset. */
int qemu_stand_still(struct qemu *q, bool on);
struct qemu_disk *qemu_disk_of(struct qemu *q, struct str device);
int qemu_overlay_disk(struct qemu *q, const char *name, const char *layer, int fd);
int qemu_resize_disk(struct qemu *q, const struct shim_request *r);
/* qemu_port.c: interfaces, by their addresses in hexadecimal. As disks are; -EEXIST: it is plugged in already; -ENOENT: it is not.
 */
int qemu_plug_port(struct qemu *q, const char *mac, int fd);
int qemu_unplug_port(struct qemu *q, const char *mac);
int qemu_forget_port(struct qemu *q, const char *mac);
/* A device is gone: if it is an interface, q->deleted_port says which. */
void qemu_port_deleted(struct qemu *q, struct str device);
/* A connection to the port of sessions: what is at the other end is the guest's affair. A descriptor, or negative errno. */
int qemu_session(struct qemu *q, unsigned port);
/* A file of what the screen shows (see SHIM_SCREEN), or negative errno. wake: the shift key is pressed first. */
int qemu_screen(struct qemu *q, bool wake);
/* Fills the counters of a; a file of struct shim_disk_use, or -1: there are no disks, or no counters of them. */
int qemu_usage(struct qemu *q, struct shim_answer *a);
