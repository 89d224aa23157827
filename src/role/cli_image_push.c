/* A container image on this machine goes into a repository of ECR by the same calls that any client makes: layers in parts, then
 * the manifest. The registry checks every digest. An archive is unpacked into a folder of its own first, by tar, which knows how
 * archives are packed and takes nothing that leads out of the folder. Whoever made the image may be nobody's friend: no name in it
 * means a file of this machine, and no device is made. */
#include "role/cli_image.h"
#include "role/cli_temporary.h"

#include "aws/ecr/manifest.h"
#include "base/hash.h"
#include "base/json.h"
#include "gen/ecr.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_BYTES_MAX = MANIFEST_BYTES_MAX, INDEX_DEPTH_MAX = 2 };
#define CONFIG_TYPE "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE "application/vnd.oci.image.layer.v1.tar"

struct push {
	struct cli *cli;
	const struct cli_cloud *cloud;
	const char *path; /* as it was given */
	int dir;          /* of the layout or the unpacked archive */
	struct str repository, tag, uri;
};

static int fail(struct push *p, const char *what, struct str name)
{
	return cli_fail(p->cli, CLI_FAILED, "%s: %s%.*s", p->path, what, STR_ARG(name));
}

/* --- files */

static int open_file(const struct push *p, struct str name, uint64_t *ret_bytes)
{
	/* Links within the folder are usual: docker save writes them for a layer that comes twice. */
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
	                             .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	struct stat st;
	int fd = (int)syscall(SYS_openat2, p->dir, arena_dupz(&p->cli->arena, name), &how, sizeof(how));
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		return -1;
	}
	if (fd >= 0)
		*ret_bytes = (uint64_t)st.st_size;
	return fd;
}

/* STR_NONE: it is not there, or larger than any such text. */
static struct str read_text(const struct push *p, struct str name)
{
	uint64_t n;
	int fd = open_file(p, name, &n);
	struct str text = STR_NONE;
	if (fd >= 0 && n <= TEXT_BYTES_MAX) {
		char *bytes = arena_alloc(&p->cli->arena, n + 1);
		if (read(fd, bytes, n) == (ssize_t)n)
			text = str_of(bytes, n);
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static struct str blob_name(const struct push *p, struct str digest)
{
	return ARENA_CAT(&p->cli->arena, S("blobs/sha256/"), str_from_at(digest, 7));
}

/* --- blobs */

static int send_part(struct push *p, struct str upload, int fd, uint64_t at, uint64_t n)
{
	struct cli round = *p->cli;
	round.arena = (struct arena){0};
	char *piece = arena_alloc(&round.arena, n + 1);
	int status = pread(fd, piece, n, (off_t)at) == (ssize_t)n ? CLI_OK : fail(p, "cannot be read", S(""));
	struct ecr_upload_layer_part_request in = {.repository_name = p->repository,
	                                           .upload_id = upload,
	                                           .part_first_byte = OPT_INT((int64_t)at),
	                                           .part_last_byte = OPT_INT((int64_t)(at + n) - 1),
	                                           .layer_part_blob = str_of(piece, n)};
	struct ecr_upload_layer_part_response out = {0};
	if (status == CLI_OK)
		status = cli_call(&round, p->cloud, &ecr_api, "UploadLayerPart", &in, &out, NULL);
	arena_done(&round.arena);
	return status;
}

/* One that the repository has is not sent again. */
static int push_blob(struct push *p, struct str digest, struct str file)
{
	struct ecr_batch_check_layer_availability_request ask = {.repository_name = p->repository};
	struct ecr_batch_check_layer_availability_response there = {0};
	*LIST_ADD(&p->cli->arena, &ask.layer_digests) = digest;
	int status = cli_call(p->cli, p->cloud, &ecr_api, "BatchCheckLayerAvailability", &ask, &there, NULL);
	if (status != CLI_OK || (there.layers.n && str_is(there.layers.v[0].layer_availability, "AVAILABLE")))
		return status;
	uint64_t bytes;
	int fd = open_file(p, file, &bytes);
	if (fd < 0)
		return fail(p, "there is no ", file);
	struct ecr_initiate_layer_upload_request begin = {.repository_name = p->repository};
	struct ecr_initiate_layer_upload_response begun = {0};
	status = cli_call(p->cli, p->cloud, &ecr_api, "InitiateLayerUpload", &begin, &begun, NULL);
	uint64_t part = begun.part_size.v > 0 ? (uint64_t)begun.part_size.v : 1;
	for (uint64_t at = 0; status == CLI_OK && at < bytes; at += part)
		status = send_part(p, begun.upload_id, fd, at, bytes - at < part ? bytes - at : part);
	close(fd);
	struct ecr_complete_layer_upload_request end = {.repository_name = p->repository, .upload_id = begun.upload_id};
	struct ecr_complete_layer_upload_response ended = {0};
	*LIST_ADD(&p->cli->arena, &end.layer_digests) = digest;
	return status == CLI_OK ? cli_call(p->cli, p->cloud, &ecr_api, "CompleteLayerUpload", &end, &ended, NULL) : status;
}

static int put_manifest(struct push *p, struct str text, struct str type, struct str tag)
{
	const struct ecr_put_image_request in = {.repository_name = p->repository,
	                                         .image_manifest = text,
	                                         .image_manifest_media_type = type,
	                                         .image_tag = tag,
	                                         .image_digest = ecr_digest(&p->cli->arena, text)};
	/* The same image under the same name is what was wanted: only another one is put. */
	struct ecr_batch_get_image_request ask = {.repository_name = p->repository};
	struct ecr_batch_get_image_response there = {0};
	*LIST_ADD(&p->cli->arena, &ask.image_ids) =
	        (struct ecr_image_identifier){.image_tag = tag, .image_digest = in.image_digest};
	int status = cli_call(p->cli, p->cloud, &ecr_api, "BatchGetImage", &ask, &there, NULL);
	if (status != CLI_OK || there.images.n)
		return status;
	struct ecr_put_image_response out = {0};
	return cli_call(p->cli, p->cloud, &ecr_api, "PutImage", &in, &out, NULL);
}

/* --- OCI layouts */

static int push_manifest(struct push *p, struct str digest, struct str type, struct str tag, int depth)
{
	struct ecr_manifest m;
	struct str why = S(""), text = ecr_digest_good(digest) ? read_text(p, blob_name(p, digest)) : STR_NONE;
	if (!str_set(text))
		return fail(p, "there is no manifest ", digest);
	if (!str_eq(ecr_digest(&p->cli->arena, text), digest))
		return fail(p, "the manifest has not the digest ", digest);
	if (!ecr_manifest_read(&p->cli->arena, text, type, &m, &why) || (m.index && depth == INDEX_DEPTH_MAX))
		return fail(p, "its manifest is none: ", why);
	int status = m.index ? CLI_OK : push_blob(p, m.config.digest, blob_name(p, m.config.digest));
	for (unsigned i = 0; i < m.count && status == CLI_OK; i++) {
		const struct ecr_descriptor *d = &m.parts[i];
		if (m.index)
			status = push_manifest(p, d->digest, d->media_type, STR_NONE, depth + 1);
		else if (!d->elsewhere)
			status = push_blob(p, d->digest, blob_name(p, d->digest));
	}
	return status == CLI_OK ? put_manifest(p, text, m.media_type, tag) : status;
}

/* The one image of the layout, or of several the one that has the tag's name. */
static int push_layout(struct push *p, struct str index)
{
	const struct json_value *list = json_get(json_parse(&p->cli->arena, index, NULL), S("manifests")), *found = NULL;
	json_each(list, m)
	{
		struct str name = json_get_str(json_get(m, S("annotations")), S("org.opencontainers.image.ref.name"));
		if (list->count == 1 || str_eq(name, p->tag))
			found = m;
	}
	if (!found)
		return list && list->count ? fail(p, "it has several images and none is called ", p->tag)
		                           : fail(p, "its index lists no image", S(""));
	struct str type = json_get_str(found, S("mediaType"));
	return push_manifest(p, json_get_str(found, S("digest")), type, p->tag, 0);
}

/* --- what docker save writes: layers as plain archives, and no digest anywhere but in the configuration */

static struct str hash_file(struct push *p, struct str name, uint64_t *ret_bytes)
{
	static unsigned char piece[1 << 16];
	unsigned char digest[HASH_MAX_BYTES];
	char hex[65];
	struct hash h;
	ssize_t n;
	int fd = open_file(p, name, ret_bytes);
	if (fd < 0)
		return STR_NONE;
	hash_init(&h, HASH_SHA256);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		hash_add(&h, piece, (size_t)n);
	close(fd);
	hash_end(&h, digest);
	hex_encode(digest, 32, hex);
	return n < 0 ? STR_NONE : ARENA_CAT(&p->cli->arena, S("sha256:"), str_from(hex));
}

static int add_blob(struct push *p, struct json_out *o, struct str name, const char *type, struct str expected)
{
	uint64_t bytes = 0;
	struct str digest = hash_file(p, name, &bytes);
	if (!str_set(digest))
		return fail(p, "there is no ", name);
	if (str_set(expected) && !str_eq(digest, expected))
		return fail(p, "its configuration says another digest for ", name);
	json_open(o, '{');
	json_key(o, S("mediaType"));
	json_string(o, str_from(type));
	json_key(o, S("digest"));
	json_string(o, digest);
	json_key(o, S("size"));
	json_int(o, (int64_t)bytes);
	json_close(o, '}');
	return push_blob(p, digest, name);
}

static int push_docker(struct push *p, struct str text)
{
	struct arena *a = &p->cli->arena;
	const struct json_value *list = json_parse(a, text, NULL);
	const struct json_value *image = json_is(list, JSON_ARRAY) && list->count == 1 ? list->first : NULL;
	struct str config = json_get_str(image, S("Config"));
	if (!str_set(config))
		return fail(p, "it holds not exactly one image", S(""));
	struct str said = read_text(p, config);
	const struct json_value *ids =
	        json_get(json_get(str_set(said) ? json_parse(a, said, NULL) : NULL, S("rootfs")), S("diff_ids"));
	const struct json_value *layers = json_get(image, S("Layers")), *id = ids ? ids->first : NULL;
	if (!json_is(layers, JSON_ARRAY) || !json_is(ids, JSON_ARRAY) || layers->count != ids->count)
		return fail(p, "its configuration does not fit its layers", S(""));
	struct buf CLEAN_BUF b;
	buf_init(&b, MANIFEST_BYTES_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("schemaVersion"));
	json_int(&o, 2);
	json_key(&o, S("mediaType"));
	json_string(&o, S(MANIFEST_OCI));
	json_key(&o, S("config"));
	int status = add_blob(p, &o, config, CONFIG_TYPE, STR_NONE);
	json_key(&o, S("layers"));
	json_open(&o, '[');
	for (const struct json_value *l = layers->first; l && id && status == CLI_OK; l = l->next, id = id->next)
		status = l->kind == JSON_STRING && id->kind == JSON_STRING ? add_blob(p, &o, l->text, LAYER_TYPE, id->text)
		                                                           : fail(p, "its layers have no names", S(""));
	json_close(&o, ']');
	json_close(&o, '}');
	return status == CLI_OK ? put_manifest(p, buf_str(&b), S(MANIFEST_OCI), p->tag) : status;
}

/* --- the road */

static int unpack(struct push *p, const char *into)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		cli_temporary_follow();
		prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0); /* who is not root has it not */
		execlp("tar", "tar", "--extract", "--no-same-owner", "--no-same-permissions", "--file", p->path, "--directory",
		       into, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		return fail(p, "it is no archive that tar can read", S(""));
	return CLI_OK;
}

static int find_repository(struct push *p)
{
	struct ecr_describe_repositories_request in = {0};
	struct ecr_describe_repositories_response out;
	do {
		out = (struct ecr_describe_repositories_response){0};
		int status = cli_call(p->cli, p->cloud, &ecr_api, "DescribeRepositories", &in, &out, NULL);
		if (status != CLI_OK)
			return status;
		for (uint32_t i = 0; i < out.repositories.n; i++)
			if (str_eq(out.repositories.v[i].repository_name, p->repository))
				p->uri = out.repositories.v[i].repository_uri;
		in.next_token = out.next_token;
	} while (str_set(in.next_token) && !str_set(p->uri));
	if (str_set(p->uri))
		return CLI_OK;
	const struct ecr_create_repository_request make = {.repository_name = p->repository};
	struct ecr_create_repository_response made = {0};
	int status = cli_call(p->cli, p->cloud, &ecr_api, "CreateRepository", &make, &made, NULL);
	if (status == CLI_OK && made.repository)
		p->uri = made.repository->repository_uri;
	return status;
}

static int push_image(struct push *p)
{
	struct str index = read_text(p, S("index.json")), manifest = read_text(p, S("manifest.json"));
	bool layout = str_set(index) && str_set(read_text(p, S("oci-layout")));
	if (!layout && !str_set(manifest))
		return fail(p, "it is neither an image in the OCI layout nor what docker save writes", S(""));
	int status = find_repository(p);
	if (status == CLI_OK)
		status = layout ? push_layout(p, index) : push_docker(p, manifest);
	return status;
}

int cli_image_push(struct cli *cli, const struct cli_cloud *cloud, const char *target, const char *path, struct str *ret_name)
{
	struct push p = {.cli = cli, .cloud = cloud, .path = path, .dir = -1};
	struct str tag = str_from(target), name = str_cut(&tag, ':');
	p.repository = name;
	p.tag = str_set(tag) ? tag : S("latest");
	if (!ecr_name_good(p.repository) || !ecr_tag_good(p.tag))
		return cli_fail(cli, CLI_USAGE, "%s is no NAME or NAME:TAG of a repository", target);
	struct stat st;
	if (stat(path, &st) < 0)
		return cli_fail(cli, CLI_FAILED, "%s: %s", path, strerror(errno));
	const char *dir = getenv("TMPDIR");
	char *temporary = NULL;
	struct cli_temporary guard = {0};
	int status = CLI_OK;
	if (!S_ISDIR(st.st_mode)) {
		temporary = (char *)(uintptr_t)arena_printf(&cli->arena, "%s/quartet-image-XXXXXX", dir ? dir : "/var/tmp").p;
		if (!mkdtemp(temporary) || cli_temporary_guard(&guard, temporary) < 0)
			return cli_fail(cli, CLI_FAILED, "%s: %s", temporary, strerror(errno));
		status = unpack(&p, temporary);
	}
	p.dir = open(temporary ? temporary : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (status == CLI_OK)
		status = p.dir < 0 ? cli_fail(cli, CLI_FAILED, "%s: %s", path, strerror(errno)) : push_image(&p);
	if (p.dir >= 0)
		close(p.dir);
	cli_temporary_end(&guard);
	if (status == CLI_OK)
		*ret_name = ARENA_CAT(&cli->arena, p.uri, S(":"), p.tag);
	return status;
}
