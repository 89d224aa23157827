/* A cloud of EC2 for simulations of hours: its operations and what makes them real, over machines, disks and files that are a few
 * lines in ec2_world.c and keep a list of what was asked of them. */
#pragma once
#include "unit.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/instance/instances.h"
#include "core/gate.h"
#include "engine/vm/machine.h"
#include "engine/volume/volume.h"

#include <stdatomic.h>

struct file {
	char name[VOLUME_NAME_MAX], under[VOLUME_NAME_MAX];
	uint64_t size;
};

struct machine {
	char id[MACHINE_ID_MAX];
	void *ctx;
	unsigned disks, resets, snapshots, attached, iops, burst, detached, forced, stops, downs, ups, vcpus, memory_mb,
	        cpu_percent;
	char holds[VOLUME_NAME_MAX]; /* which disk was asked for in vain */
	bool there, known, asked_at_once, held, is_down;
};
extern struct machine machine_list[8];
extern const struct machine_events *machine_calls;
extern unsigned machine_starts;
extern bool machine_keeps_silent; /* about snapshots */
extern bool machine_holds_on;     /* its guest lets go of no disk */
extern atomic_int disk_error;     /* of files that are made; while the disk is slow, of what comes to it */
extern atomic_bool disk_is_slow;

extern struct sim_world {
	struct cloud cloud;
	struct arena arena, last;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
} w;

unsigned file_count(void);
struct file *file_named(const char *name);
void open_cloud(void);
void close_cloud(void);
void settle(void);
void pass(int64_t ms);
const void *ask_api(const struct api *api, const char *operation, const void *in, const char *code);
const void *ask(const char *operation, const void *in, const char *code);
/* All at the same time; the codes that they ended with. */
void ask_at_once(const char *operation, const void *const *in, unsigned n, char (*ret_codes)[128]);
struct str_list one(struct str *id);
const struct ec2_instance *instance(struct str id);
void assert_state(struct str id, const char *state);
struct machine *machine_of(struct str id);
struct str new_image(void);
struct ec2_run_instances_request request(struct str image);
struct desk *desk(void);
void give_tap(struct str id);
struct str run(const struct ec2_run_instances_request *in);
void end(struct str id, enum machine_end how);
int set_up(void **state);
int tear_down(void **state);
