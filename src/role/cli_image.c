/* `quartet image`: a disk image, a root file system or a container image on this machine becomes an image of instances, on the road
 * that every client may take: its bytes go to a bucket of their own in S3, ImportSnapshot takes them from there, RegisterImage
 * makes the image. The bucket goes afterwards, whatever came of it. */
#include "role/cli_image.h"
#include "role/cli_temporary.h"

#include "base/clock.h"
#include "base/id.h"
#include "gen/ec2.h"
#include "gen/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PART_BYTES = 8 << 20, HEAD_BYTES = 2048, PARTS_MAX = 10000 };
#define KEY_NAME "disk"
#define ROOT_DEVICE "/dev/xvda"

enum image_kind { IMAGE_NONE, IMAGE_RAW, IMAGE_QCOW2, IMAGE_FILE_SYSTEM, IMAGE_TREE };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

struct import_run {
	struct cli *cli;
	const struct cli_cloud *cloud;
	const char *path, *name, *description;
	struct cli_temporary temporary; /* the disk that was made */
	struct str bucket, upload, kernel, ramdisk;
	enum image_kind kind;
	int fd;
	uint64_t bytes;
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;
	if (!isatty(STDERR_FILENO))
		return;
	va_start(ap, fmt);
	fputs("\r\033[K", stderr);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fflush(stderr);
}

/* --- what kind of file it is */

static bool has(const unsigned char *head, size_t n, size_t at, const char *bytes, size_t length)
{
	return at + length <= n && memcmp(head + at, bytes, length) == 0;
}

static enum image_kind kind_of(const unsigned char *head, size_t n, uint64_t bytes)
{
	if (has(head, n, 0, "QFI\xfb", 4))
		return IMAGE_QCOW2;
	if (has(head, n, 257, "ustar", 5) || has(head, n, 0, "\x1f\x8b", 2) ||
	    has(head, n, 0,
	        "\xfd"
	        "7zXZ",
	        5) ||
	    has(head, n, 0, "BZh", 3))
		return IMAGE_TREE;
	if (bytes % 512 != 0)
		return IMAGE_NONE;
	if (has(head, n, 1080, "\x53\xef", 2) && !has(head, n, 510, "\x55\xaa", 2))
		return IMAGE_FILE_SYSTEM;
	return has(head, n, 510, "\x55\xaa", 2) ? IMAGE_RAW : IMAGE_NONE;
}

static int look(struct import_run *r, const char *path)
{
	unsigned char head[HEAD_BYTES];
	struct stat st;
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		return cli_fail(r->cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode)) {
		r->kind = IMAGE_TREE;
		return CLI_OK;
	}
	ssize_t n = S_ISREG(st.st_mode) ? pread(r->fd, head, sizeof(head), 0) : 0;
	r->bytes = (uint64_t)st.st_size;
	r->kind = n > 0 ? kind_of(head, (size_t)n, r->bytes) : IMAGE_NONE;
	if (r->kind == IMAGE_NONE)
		return cli_fail(r->cli, CLI_FAILED, "%s is no disk image (raw or qcow2), no tarball and no container image", path);
	if (r->bytes > (uint64_t)PART_BYTES * PARTS_MAX)
		return cli_fail(r->cli, CLI_FAILED, "%s is larger than %d GiB: give it as qcow2", path, PARTS_MAX / 128);
	return CLI_OK;
}

/* --- a disk of a tree */

static const char *disk_maker(struct cli *cli)
{
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	static const char *const places[] = {"../tools/make-disk", "../lib/quartet/make-disk"};
	struct str dir = str_of(exe, n > 0 ? (size_t)n : 0);
	ptrdiff_t slash = str_rfind_char(dir, '/');
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && slash > 0; i++) {
		const char *path = arena_printf(&cli->arena, "%.*s/%s", (int)slash, dir.p, places[i]).p;
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static int make_disk(struct import_run *r)
{
	const char *maker = disk_maker(r->cli), *dir = getenv("TMPDIR");
	int report[2], status;
	if (!maker)
		return cli_fail(r->cli, CLI_FAILED, "make-disk is not installed beside this program");
	char *temporary = (char *)(uintptr_t)arena_printf(&r->cli->arena, "%s/quartet-disk-XXXXXX", dir ? dir : "/var/tmp").p;
	int fd = mkstemp(temporary);
	if (fd < 0 || cli_temporary_guard(&r->temporary, temporary) < 0 || pipe2(report, O_CLOEXEC) < 0)
		return cli_fail(r->cli, CLI_FAILED, "%s: %s", temporary, strerror(errno));
	close(fd);
	say("making a disk of it");
	pid_t pid = fork();
	if (pid == 0) {
		cli_temporary_follow();
		dup2(report[1], STDERR_FILENO);
		execl(maker, maker, r->path, temporary, (char *)NULL);
		_exit(127);
	}
	close(report[1]);
	char text[512];
	size_t n = 0;
	for (ssize_t k; n < sizeof(text) && (k = read(report[0], text + n, sizeof(text) - n)) > 0;)
		n += (size_t)k;
	close(report[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
		say("%s", "");
		return cli_fail(r->cli, CLI_FAILED, "%s: %.*s", r->path,
		                STR_ARG(n ? str_trim(str_of(text, n)) : S("no disk could be made of it")));
	}
	close(r->fd);
	return look(r, temporary);
}

/* --- the road */

/* A disk without a boot loader starts with the kernel of the image that the cloud has from the beginning. */
static int find_kernel(struct import_run *r)
{
	struct ec2_describe_images_request in = {0};
	struct ec2_describe_images_result out = {0};
	*LIST_ADD(&r->cli->arena, &in.owners) = S("amazon");
	int status = cli_call(r->cli, r->cloud, &ec2_api, "DescribeImages", &in, &out, NULL);
	for (uint32_t i = 0; status == CLI_OK && i < out.images.n; i++) {
		r->kernel = out.images.v[i].kernel_id;
		r->ramdisk = out.images.v[i].ramdisk_id;
	}
	if (status == CLI_OK && !str_set(r->kernel))
		return cli_fail(r->cli, CLI_FAILED,
		                "a root file system needs the kernel of the machine image, which is not there: tools/make-image");
	return status;
}

/* Before anything is sent: is the name good and free? */
static int check_name(struct import_run *r)
{
	struct ec2_describe_images_request in = {0};
	struct ec2_describe_images_result out = {0};
	size_t n = strlen(r->name);
	if (n < 3 || n > 128 || strspn(r->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_") != n)
		return cli_fail(r->cli, CLI_USAGE, "a name has 3 to 128 letters, digits, spaces and ( ) [ ] . / - ' @ _");
	*LIST_ADD(&r->cli->arena, &in.owners) = S("self");
	int status = cli_call(r->cli, r->cloud, &ec2_api, "DescribeImages", &in, &out, NULL);
	for (uint32_t i = 0; status == CLI_OK && i < out.images.n; i++)
		if (str_is(out.images.v[i].name, r->name))
			return cli_fail(r->cli, CLI_FAILED, "there is an image called \"%s\" already: %.*s", r->name,
			                STR_ARG(out.images.v[i].image_id));
	return status;
}

static int make_bucket(struct import_run *r)
{
	struct s3_create_bucket_configuration where = {.location_constraint = str_from(r->cloud->region)};
	struct s3_create_bucket_request in = {.bucket = r->bucket};
	struct s3_create_bucket_output out = {0};
	if (!str_is(where.location_constraint, "us-east-1"))
		in.create_bucket_configuration = &where;
	return cli_call(r->cli, r->cloud, &s3_api, "CreateBucket", &in, &out, NULL);
}

static int send_part(struct import_run *r, int64_t number, uint64_t at, struct s3_completed_part *ret)
{
	struct cli round = *r->cli;
	round.arena = (struct arena){0};
	uint64_t left = r->bytes - at;
	size_t n = left < PART_BYTES ? (size_t)left : PART_BYTES;
	char *piece = arena_alloc(&round.arena, n);
	if (pread(r->fd, piece, n, (off_t)at) != (ssize_t)n)
		return cli_fail(r->cli, CLI_FAILED, "%s cannot be read", r->path);
	struct s3_upload_part_request in = {
	        .bucket = r->bucket, .key = S(KEY_NAME), .upload_id = r->upload, .part_number = OPT_INT(number)};
	struct s3_upload_part_output out = {0};
	int status = cli_send(&round, r->cloud, &s3_api, "UploadPart", &in, str_of(piece, n), &out, NULL);
	if (status == CLI_OK)
		*ret = (struct s3_completed_part){.part_number = OPT_INT(number), .e_tag = arena_dup(&r->cli->arena, out.e_tag)};
	arena_done(&round.arena);
	return status;
}

static int send_all(struct import_run *r)
{
	struct s3_create_multipart_upload_request begin = {.bucket = r->bucket, .key = S(KEY_NAME)};
	struct s3_create_multipart_upload_output begun = {0};
	struct s3_completed_multipart_upload parts = {0};
	int status = cli_call(r->cli, r->cloud, &s3_api, "CreateMultipartUpload", &begin, &begun, NULL);
	r->upload = begun.upload_id;
	for (uint64_t at = 0; status == CLI_OK && at < r->bytes; at += PART_BYTES) {
		say("sending %llu of %llu MiB", (unsigned long long)(at >> 20), (unsigned long long)(r->bytes >> 20));
		if (interrupted)
			return cli_fail(r->cli, CLI_FAILED, "interrupted");
		status = send_part(r, (int64_t)(at / PART_BYTES) + 1, at, LIST_ADD(&r->cli->arena, &parts.parts));
	}
	if (status != CLI_OK)
		return status;
	struct s3_complete_multipart_upload_request end = {
	        .bucket = r->bucket, .key = S(KEY_NAME), .upload_id = r->upload, .multipart_upload = &parts};
	struct s3_complete_multipart_upload_output ended = {0};
	status = cli_call(r->cli, r->cloud, &s3_api, "CompleteMultipartUpload", &end, &ended, NULL);
	if (status == CLI_OK)
		r->upload = STR_NONE;
	return status;
}

static int take_in(struct import_run *r, struct str *ret_snapshot)
{
	struct ec2_user_bucket bucket = {.s3_bucket = r->bucket, .s3_key = S(KEY_NAME)};
	struct ec2_snapshot_disk_container disk = {.format = r->kind == IMAGE_QCOW2 ? S("QCOW2") : S("RAW"),
	                                           .user_bucket = &bucket};
	struct ec2_import_snapshot_request in = {.disk_container = &disk, .description = str_from(r->name)};
	struct ec2_import_snapshot_result begun = {0};
	int status = cli_call(r->cli, r->cloud, &ec2_api, "ImportSnapshot", &in, &begun, NULL);
	while (status == CLI_OK) {
		struct ec2_describe_import_snapshot_tasks_request ask = {0};
		struct ec2_describe_import_snapshot_tasks_result out = {0};
		*LIST_ADD(&r->cli->arena, &ask.import_task_ids) = begun.import_task_id;
		status = cli_call(r->cli, r->cloud, &ec2_api, "DescribeImportSnapshotTasks", &ask, &out, NULL);
		if (status != CLI_OK)
			return status;
		const struct ec2_snapshot_task_detail *d =
		        out.import_snapshot_tasks.n ? out.import_snapshot_tasks.v[0].snapshot_task_detail : NULL;
		if (d && str_is(d->status, "completed")) {
			*ret_snapshot = d->snapshot_id;
			return CLI_OK;
		}
		if (!d || !str_is(d->status, "active"))
			return cli_fail(r->cli, CLI_FAILED, "%s: %.*s", r->path,
			                STR_ARG(d ? d->status_message : S("the task is gone")));
		if (interrupted) {
			struct ec2_cancel_import_task_request cancel = {.import_task_id = begun.import_task_id};
			struct ec2_cancel_import_task_result cancelled = {0};
			cli_call(r->cli, r->cloud, &ec2_api, "CancelImportTask", &cancel, &cancelled, NULL);
			return cli_fail(r->cli, CLI_FAILED, "interrupted");
		}
		say("taking it in: %.*s %%", STR_ARG(d->progress));
		usleep(100000);
	}
	return status;
}

static int register_it(struct import_run *r, struct str snapshot, struct str *ret_image)
{
	struct ec2_ebs_block_device ebs = {
	        .snapshot_id = snapshot, .volume_type = S("gp3"), .delete_on_termination = OPT_BOOL(true)};
	struct ec2_register_image_request in = {.name = str_from(r->name),
	                                        .description = r->description ? str_from(r->description) : STR_NONE,
	                                        .architecture = S("x86_64"),
	                                        .virtualization_type = S("hvm"),
	                                        .root_device_name = S(ROOT_DEVICE),
	                                        .kernel_id = r->kernel,
	                                        .ramdisk_id = r->ramdisk};
	struct ec2_register_image_result out = {0};
	*LIST_ADD(&r->cli->arena, &in.block_device_mappings) =
	        (struct ec2_block_device_mapping){.device_name = S(ROOT_DEVICE), .ebs = &ebs};
	int status = cli_call(r->cli, r->cloud, &ec2_api, "RegisterImage", &in, &out, NULL);
	if (status == CLI_OK) {
		*ret_image = out.image_id;
		return status;
	}
	struct ec2_delete_snapshot_request drop = {.snapshot_id = snapshot};
	struct model_none none;
	cli_call(r->cli, r->cloud, &ec2_api, "DeleteSnapshot", &drop, &none, NULL);
	return status;
}

static void drop_bucket(struct import_run *r)
{
	struct s3_abort_multipart_upload_request stop = {.bucket = r->bucket, .key = S(KEY_NAME), .upload_id = r->upload};
	struct s3_abort_multipart_upload_output stopped = {0};
	struct s3_delete_object_request object = {.bucket = r->bucket, .key = S(KEY_NAME)};
	struct s3_delete_object_output gone = {0};
	struct s3_delete_bucket_request bucket = {.bucket = r->bucket};
	struct model_none none;
	if (str_set(r->upload))
		cli_call(r->cli, r->cloud, &s3_api, "AbortMultipartUpload", &stop, &stopped, NULL);
	cli_call(r->cli, r->cloud, &s3_api, "DeleteObject", &object, &gone, NULL);
	cli_call(r->cli, r->cloud, &s3_api, "DeleteBucket", &bucket, &none, NULL);
}

static int import_image(struct import_run *r)
{
	struct str snapshot = STR_NONE, image = STR_NONE;
	int status = look(r, r->path);
	if (status == CLI_OK)
		status = check_name(r);
	if (status == CLI_OK && (r->kind == IMAGE_TREE || r->kind == IMAGE_FILE_SYSTEM))
		status = find_kernel(r);
	if (status == CLI_OK && r->kind == IMAGE_TREE)
		status = make_disk(r);
	if (status != CLI_OK)
		return status;
	r->bucket = ARENA_CAT(&r->cli->arena, S("quartet-import-"), id_hex(&r->cli->arena, 16));
	status = make_bucket(r);
	if (status != CLI_OK)
		return status;
	status = send_all(r);
	if (status == CLI_OK)
		status = take_in(r, &snapshot);
	if (status == CLI_OK)
		status = register_it(r, snapshot, &image);
	say("%s", "");
	drop_bucket(r);
	if (status == CLI_OK)
		printf("%.*s\n", STR_ARG(image));
	return status;
}

static int run_import(struct cli *cli)
{
	struct cli_cloud cloud;
	struct import_run r = {.cli = cli, .cloud = &cloud, .fd = -1};
	r.name = cli_option(cli, "--name", NULL);
	r.description = cli_option(cli, "--description", NULL);
	const char *repository = cli_option(cli, "--repository", NULL);
	int status = cli_open(cli, 1, &cloud);
	if (status != CLI_OK)
		return status;
	if (cli->argc != 1 || !r.name == !repository)
		return cli_fail(cli, CLI_USAGE,
		                "which file, and under which --name or in which --repository? see: quartet image --help");
	if (repository) {
		struct str made;
		status = cli_image_push(cli, &cloud, repository, cli->argv[0], &made);
		if (status == CLI_OK)
			printf("%.*s\n", STR_ARG(made));
		return status;
	}
	r.path = cli->argv[0];
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old_int, old_term;
	sigaction(SIGINT, &act, &old_int);
	sigaction(SIGTERM, &act, &old_term);
	status = import_image(&r);
	sigaction(SIGINT, &old_int, NULL);
	sigaction(SIGTERM, &old_term, NULL);
	if (r.fd >= 0)
		close(r.fd);
	cli_temporary_end(&r.temporary);
	return status;
}

static int run_list(struct cli *cli)
{
	struct cli_cloud cloud;
	int status = cli_open(cli, 0, &cloud);
	if (status != CLI_OK)
		return status;
	struct ec2_describe_images_request in = {0};
	struct ec2_describe_images_result out = {0};
	status = cli_call(cli, &cloud, &ec2_api, "DescribeImages", &in, &out, NULL);
	for (uint32_t i = 0; status == CLI_OK && i < out.images.n; i++) {
		const struct ec2_image *m = &out.images.v[i];
		long long size = m->block_device_mappings.n && m->block_device_mappings.v[0].ebs
		                         ? (long long)m->block_device_mappings.v[0].ebs->volume_size.v
		                         : 0;
		printf("%-21.*s  %-9.*s  %4lld GiB  %.*s\n", STR_ARG(m->image_id), STR_ARG(m->state), size, STR_ARG(m->name));
	}
	return status;
}

int cli_image(struct cli *cli)
{
	if (cli->argc && strcmp(cli->argv[0], "import") == 0) {
		cli->argv++;
		cli->argc--;
		return run_import(cli);
	}
	if (cli->argc && strcmp(cli->argv[0], "list") == 0) {
		cli->argv++;
		cli->argc--;
		return run_list(cli);
	}
	return cli_fail(cli, CLI_USAGE, "import or list? see: quartet image --help");
}
