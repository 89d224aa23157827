#include "aws/ec2/storage/image_default.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define IMAGE "debian-12-amd64"
#define IMAGE_DIR "/var/cache/quartet/images/" IMAGE
/* The account that publishes Debian's images on AWS: people look them up by it. */
#define PUBLISHER "136693071363"
enum { SIZE_GIB = 8, FACTS_BYTES = 64 * 1024 };

/* The disk is taken when the cloud has had time to get ready for everything else, or when a volume is to stand on it before. */
enum { QUIET_START_US = 1000000 };

struct default_image {
	struct arena arena;
	struct cloud *cloud;
	struct loop_timer *later;
	struct machines *machines;
	int volumes_dir, error; /* error: the worker's, while it imports */
	bool importing, ready, failed, forgotten;
	default_image_settled_fn *settled;
	void *ctx;
	struct str image_id, snapshot_id, name, description, created, root_device, boot;
	struct str_list platforms;
	char layer[VOLUME_NAME_MAX];
};

/* Ids do not depend on when the image was made. */
static struct str id_of(struct arena *a, const char *prefix)
{
	return ARENA_CAT(a, str_from(prefix), S("-0"), str_sub(hash_hex(a, HASH_SHA256, S(IMAGE)), 0, 16));
}

static bool read_facts(struct default_image *d)
{
	static char text[FACTS_BYTES];
	int fd = open(IMAGE_DIR "/image.json", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	struct json_value *json = n > 0 ? json_parse(&d->arena, arena_dup(&d->arena, str_of(text, (size_t)n)), NULL) : NULL;
	d->name = json_get_str(json, S("name"));
	d->description = json_get_str(json, S("description"));
	d->created = json_get_str(json, S("created"));
	d->root_device = json_get_str(json, S("root_device"));
	json_each(json_get(json, S("platforms")), one) * LIST_ADD(&d->arena, &d->platforms) = one->text;
	struct str command_line = json_get_str(json, S("command_line"));
	if (!str_set(d->name) || !str_set(d->created) || !str_set(d->root_device) || !str_set(command_line) ||
	    d->name.n >= VOLUME_NAME_MAX)
		return false;
	snprintf(d->layer, sizeof(d->layer), "%.*s", STR_ARG(d->name));
	d->boot = ARENA_CAT(&d->arena, S(IMAGE_DIR "/kernel " IMAGE_DIR "/initrd "), command_line);
	d->image_id = id_of(&d->arena, "ami");
	d->snapshot_id = id_of(&d->arena, "snap");
	return true;
}

static void import(void *job)
{
	struct default_image *d = job;
	uint64_t size, disk_bytes;
	if (volume_stat(d->volumes_dir, d->layer, &size, &disk_bytes) == 0) {
		/* Whoever took it may have been killed before its name was on the disk. */
		d->error = fsync(d->volumes_dir) < 0 ? -errno : 0;
		return;
	}
	int fd = open(IMAGE_DIR "/root.raw", O_RDONLY | O_CLOEXEC);
	d->error = fd < 0 ? -errno : volume_import(d->volumes_dir, d->layer, fd, &size);
	if (fd >= 0)
		close(fd);
}

static void imported(void *job)
{
	struct default_image *d = job;
	d->importing = false;
	d->ready = d->error == 0;
	d->failed = !d->ready;
	if (d->forgotten) {
		default_image_free(d);
		return;
	}
	if (d->failed)
		log_warn("ec2: the image %s cannot be taken: %s", d->layer, strerror(-d->error));
	else if (d->cloud->kvm)
		machines_try_kvm(d->machines, IMAGE_DIR "/kernel", IMAGE_DIR "/initrd");
	d->settled(d->ctx);
}

static void import_begin(void *ctx)
{
	struct default_image *d = ctx;
	d->later = NULL;
	d->importing = true;
	work_add(d->cloud->work, import, imported, d);
}

struct default_image *default_image_new(struct cloud *cloud, struct machines *machines, default_image_settled_fn *settled,
                                        void *ctx)
{
	struct default_image *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	d->settled = settled;
	d->ctx = ctx;
	d->machines = machines;
	d->volumes_dir = machines_volumes_dir(machines);
	d->cloud = cloud;
	if (!read_facts(d)) {
		default_image_free(d);
		return NULL;
	}
	d->later = loop_add_timer(cloud->loop, QUIET_START_US, import_begin, d);
	return d;
}

void default_image_free(struct default_image *d)
{
	if (!d)
		return;
	d->forgotten = true;
	loop_remove_timer(d->cloud->loop, d->later);
	d->later = NULL;
	if (d->importing)
		return;
	arena_done(&d->arena);
	free(d);
}

bool default_image_is_coming(struct default_image *d, struct str layer)
{
	if (!d || d->ready || d->failed || !str_is(layer, d->layer))
		return false;
	if (d->later) {
		loop_remove_timer(d->cloud->loop, d->later);
		import_begin(d);
	}
	return true;
}

bool default_image_get(struct default_image *d, struct arena *a, struct state_ec2_image_record *ret)
{
	if (!d || d->failed)
		return false;
	struct ec2_image *i = arena_new(a, struct ec2_image);
	*i = (struct ec2_image){.image_id = d->image_id,
	                        .image_location = ARENA_CAT(a, S(PUBLISHER "/"), d->name),
	                        .image_owner_alias = S("amazon"),
	                        .state = S("available"),
	                        .owner_id = S(PUBLISHER),
	                        .public = OPT_BOOL(true),
	                        .architecture = S("x86_64"),
	                        .image_type = S("machine"),
	                        .kernel_id = id_of(a, "aki"),
	                        .ramdisk_id = id_of(a, "ari"),
	                        .name = d->name,
	                        .description = d->description,
	                        .root_device_name = d->root_device,
	                        .root_device_type = S("ebs"),
	                        .virtualization_type = S("hvm"),
	                        .hypervisor = S("xen"),
	                        .ena_support = OPT_BOOL(true),
	                        .platform_details = S("Linux/UNIX"),
	                        .usage_operation = S("RunInstances"),
	                        .creation_date = d->created};
	struct ec2_block_device_mapping *disk = LIST_ADD(a, &i->block_device_mappings);
	disk->device_name = d->root_device;
	disk->ebs = arena_new(a, struct ec2_ebs_block_device);
	*disk->ebs = (struct ec2_ebs_block_device){.snapshot_id = d->snapshot_id,
	                                           .volume_size = OPT_INT(SIZE_GIB),
	                                           .volume_type = S("gp3"),
	                                           .delete_on_termination = OPT_BOOL(true),
	                                           .encrypted = OPT_BOOL(false)};
	*ret = (struct state_ec2_image_record){.image = i, .boot = d->boot};
	return true;
}

const struct str_list *default_image_platforms(const struct default_image *d)
{
	return &d->platforms;
}

bool default_image_snapshot(struct default_image *d, struct arena *a, struct state_ec2_snapshot_record *ret)
{
	int64_t created;
	if (!d || d->failed)
		return false;
	struct ec2_snapshot *s = arena_new(a, struct ec2_snapshot);
	*s = (struct ec2_snapshot){.snapshot_id = d->snapshot_id,
	                           .volume_id = S("vol-ffffffff"),
	                           .state = S("completed"),
	                           .progress = S("100%"),
	                           .start_time = OPT_TIME(time_parse(d->created, &created) ? created : 0),
	                           .owner_id = S(PUBLISHER),
	                           .owner_alias = S("amazon"),
	                           .description = d->description,
	                           .volume_size = OPT_INT(SIZE_GIB),
	                           .encrypted = OPT_BOOL(false),
	                           .storage_tier = S("standard")};
	*ret = (struct state_ec2_snapshot_record){.snapshot = s, .layer = str_from(d->layer), .public = OPT_BOOL(true)};
	return true;
}
