/* From records to what really is: the part of EC2 that goes on after a call has been answered. Records say what is wanted (a volume
 * is `creating`, an instance `stopping`); every change of one is watched, and one idempotent step looks at the record and at what
 * there is and does the next thing. After a start of the role each record is looked at once, so whatever a crash cut off goes on.
 *
 * desk.c finds what has changed and writes what has come of it; storage.c is the step of volumes and snapshots, instances.c that of
 * instances. Made by ec2_start(). All of it runs on the loop; files are touched on worker threads. Private to aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"
#include "base/list.h"
#include "base/map.h"

struct machines;
struct machine;
struct desk;

struct desk_item;
typedef void storage_done_fn(struct desk_item *i, int error);

/* One record that is looked after; lives as long as the record does, or something of it runs. */
struct desk_item {
	struct desk *desk;
	const struct ec2_kind *kind;
	struct str account, region, id;
	struct arena arena;
	bool dirty;               /* a step is due */
	unsigned busy;            /* jobs of it under way: no step until they have ended */
	storage_done_fn *asked;   /* volumes: what a running machine's answer is taken by */
	struct desk_item *holder; /* another item whose job is about this one's file; busy meanwhile */
	bool waiting;             /* for something of another item: a step is due when any job has ended */
	bool there;               /* volumes: its file is, though perhaps not on the disk yet */
	struct machine *machine;  /* instances: NULL: none */
	bool running, stopping, unplugged, reached;
	uint64_t bytes;      /* snapshots: what STORAGE_MEASURE found of its layer on the disk */
	bool forced;         /* volumes: the machine was asked to give it up without the guest's consent */
	bool downing, down;  /* instances: the guest was asked to end (and has), so that its disks stand still for an image */
	int launch_error;    /* instances: why what was prepared does not run; volumes: why there is no file; 0: nothing */
	bool held;           /* instances: the machine is prepared and runs when its disks are made */
	bool awaits_ports;   /* instances: the machine is prepared and gets its ports when all have come */
	bool counted;        /* a reservation in force: it is kept for the sampler */
	uint64_t memory_mib; /* what an instance that is to run, or a reservation's free places take of this machine */
	uint32_t vcpus;
	int64_t tried_ms;                       /* spot requests: when their launch was asked for last; 0: not yet */
	int64_t broken_ms, again_ms;            /* and when what it gave could not be made, and how long to wait then */
	int64_t resets;                         /* how many of the record's reboots have been done; -1: not known yet */
	struct loop_timer *timer, *event_timer; /* event_timer: event.c */
	struct instances_tap {
		char id[24]; /* of the interface; "": free */
		int fd;      /* -1: none */
		bool asked;  /* the machine has not answered yet */
		bool lost;
	} taps[8];
	unsigned tokenless,
	        tokenless_refused; /* questions to the metadata service without a token that sample.c has not seen yet */
	bool ports_found;          /* the machine was found, and its interfaces not yet looked at */
};

struct desk {
	struct cloud *cloud;
	struct ec2_state *ec2;
	struct machines *machines; /* NULL: this machine has no sandboxes */
	struct map items;          /* id -> struct desk_item */
	struct loop_timer *gates_timer;
	struct list gates;    /* NAT gateways whose bytes are counted: nat_usage.c */
	struct list launches; /* of fleets, under way: fleet_launch.c */
	struct list holds;    /* what calls under way have taken of this machine: capacity.c */
	struct store_watch *watch;
	struct loop_timer *soon;
	struct store_txn *txn; /* of the round of steps under way */
	struct arena arena;
};

struct desk *desk_new(struct ec2_state *ec2);
void desk_free(struct desk *d);
/* The item of an id; NULL: nothing is looked after under it. */
struct desk_item *desk_item(struct desk *d, struct str id);
void desk_mark(struct desk_item *i);
/* Something that a record is about has changed: a step of it is due. */
void desk_look(struct desk *d, const struct ec2_kind *kind, struct str account, struct str region, struct str id);
/* A round of steps soon, whatever is due. */
void desk_soon(struct desk *d);
/* All that wait get a step. */
void desk_wake(struct desk *d);
/* A job of an item has ended: it and all that wait get a step. */
void desk_done(struct desk_item *i);

/* Keeps another item from having jobs of its own while `holder` works on its file. NULL: it has one, so try again later. Released
 * by desk_release(). */
struct desk_item *desk_hold(struct desk *d, const struct ec2_kind *kind, struct str account, struct str region, struct str id,
                            struct desk_item *holder);
void desk_release(struct desk_item *held);

/* Changes records: edit(scope, ctx) runs in a transaction, again when somebody was faster; then ended(ctx), when it is durable; a
 * disk that refuses is asked again and again. Scope is the item's account and region. */
typedef void desk_edit_fn(const struct ec2_scope *s, void *ctx);
typedef void desk_ended_fn(void *ctx);
void desk_edit(struct desk *d, struct str account, struct str region, desk_edit_fn *edit, desk_ended_fn *ended, void *ctx);

/* instances.c. The step of one; the machine that has a volume, NULL: none runs. */
void instances_step(struct desk_item *i, const struct ec2_scope *s);
struct machine *instances_machine_with(struct desk *d, const struct ec2_volume *volume);
/* Does a machine that does not run yet have its files open? They may not be changed then. */
bool instances_is_starting_with(struct desk *d, const struct ec2_volume *volume);
/* Is its guest on its way to an end for an image, and has not come there? */
bool instances_is_going_down_with(const struct ec2_scope *s, struct desk *d, const struct ec2_volume *volume);

/* A file operation of a volume or layer, on a worker thread. The names are copied. */
enum storage_verb { STORAGE_CREATE, STORAGE_SETTLE, STORAGE_DELETE, STORAGE_FREEZE, STORAGE_RESIZE, STORAGE_MEASURE };
void storage_do(struct desk_item *i, enum storage_verb verb, struct str name, struct str layer, uint64_t size,
                storage_done_fn *done);

void storage_step_volume(struct desk_item *i, const struct ec2_scope *s);
void storage_step_snapshot(struct desk_item *i, const struct ec2_scope *s);
/* layer.c: removes layers that nothing stands on any more. */
void storage_step_layer(struct desk_item *i, const struct ec2_scope *s);
/* A running machine has done what storage asked of it with a volume. */
/* Is a snapshot of this volume begun and not completed? Then no machine may open the volume. */
bool storage_snapshot_pending(const struct ec2_scope *s, struct str volume);
void storage_machine_did(struct desk *d, struct str volume, int error);
extern const struct ec2_kind ec2_kind_layer;
