/* A system container: the image's own init in namespaces of its own, root of nothing but them. For the shim alone, which is root of
 * a user namespace around it: neither has a right on the machine. What needs one - ids, block devices, network links - the warden
 * has made and hands in by descriptors. */
#pragma once
#include "engine/vm/proto.h"
#include "engine/vm/shim.h"

#include <stdbool.h>
#include <sys/types.h>

enum { BOX_DISKS = 27 };
#define BOX_ROOT "/mnt"        /* where the shim has the root file system */
#define BOX_DEVICES "/tmp/dev" /* what the container has as /dev (warden_box.c) */
#define BOX_SYSFS "/tmp/sys"

struct box_disk {
	char name[MACHINE_NAME_MAX]; /* of the volume; "": free */
	char node[MACHINE_NAME_MAX]; /* in /dev */
	int device;                  /* keeps it; -1: the root */
	int file;                    /* as the storage daemon offers it */
	dev_t number;                /* of its block device */
	struct shim_disk_use before; /* what the device had done for others */
};

struct box {
	const struct shim_plan *plan;
	int handles[HANDLES];
	struct box_disk disks[BOX_DISKS];
	bool has_root;
	pid_t pid;             /* its init; 0: does not run */
	pid_t ready;           /* what is to be its next init and waits; 0: none */
	int ready_sock;        /* to it */
	bool lent;             /* it has the root */
	int console, terminal; /* both ends of what is its /dev/console */
};

/* Makes the namespaces that outlive a reboot of the container, and shuts what shim, storage daemon and container do not need. */
int box_open(struct box *b, const struct shim_plan *plan);
/* The disk's mount (node "") or device, and the file that it stands on; duplicated. */
int box_give(struct box *b, const char *disk, const char *node, int fd, int file);
/* box_init.c: what is to be init comes into being, and gets the root: both are done where they are needed, but may be done before.
 * box_start(): it becomes the image's init, this process's child; box->console is another terminal then. */
int box_prepare(struct box *b);
int box_lend_root(struct box *b);
int box_start(struct box *b);
/* It is not needed any more. */
void box_drop(struct box *b);
/* It has been given this disk. */
bool box_has(struct box *b, const char *disk);
/* Everything written so far is in the storage daemon. */
void box_flush(struct box *b, const char *disk);
/* The disk has another size. */
int box_resized(struct box *b, const char *disk);
/* Takes a disk's node away; -EBUSY: somebody inside has it for himself (a mounted one). */
int box_take(struct box *b, const char *disk);
/* Init has ended: writes everything out and lets go of all disks. */
void box_close(struct box *b);
/* Asks init to switch off, or to boot anew. -EAGAIN: it does not listen yet. */
int box_power(struct box *b);
int box_reset(struct box *b);
/* A session inside, under another process of this one's, which ends with it: a descriptor of its stream, or negative errno.
 * *ret_pid: that process, this one's child. */
int box_session(struct box *b, pid_t *ret_pid);
/* What the wait status of init says: it wants to boot anew; it has switched itself off. */
bool box_reboots(int status);
bool box_is_off(int status);
/* As qemu_usage(): processor time of everything inside, and what its disks have been asked for since it has them. */
int box_usage(const struct box *b, struct shim_answer *a);
