/* The registry on a clock that the test moves: blobs that nobody needs, uploads that nobody goes on with and images past their
 * policy's days go; what is referenced or being read stays; storage becomes a bill. And the way of other services to an image. */
#include "unit.h"

#include "aws/ecr/rows.h"
#include "aws/iam/iam.h"
#include "base/clock.h"
#include "core/gate.h"
#include "core/meter.h"
#include "gen/ce.h"
#include "http/http.h"
#include "store/blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A cloud is never taken apart in the program; this one is, and what its identities held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

extern const struct service ce_service, iam_service, sts_service;
const struct service *const cloud_services[] = {&ce_service, &ecr_service, &iam_service, &sts_service, NULL};

#define START INT64_C(1767225600000) /* 2026-01-01: a month of 31 days */
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)

static struct {
	struct cloud cloud;
	struct arena arena;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
	bool done;
	const void *out;
	struct ecr_pulled *pulled;
} w;

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	(void)r;
	fail_msg("a request from outside");
}

static void open_cloud(void)
{
	struct cloud *c = &w.cloud;
	char why[200];
	*c = (struct cloud){.data_dir = w.dir, .ephemeral = true, .endpoint = "http://127.0.0.1:1"};
	c->loop = loop_new();
	c->work = work_new(c->loop, 1);
	struct store_config config = {.path = arena_printf(&w.arena, "%s/state", w.dir).p, .ephemeral = true};
	assert_int_equal(store_open(&c->store, c->loop, &config, why), 0);
	assert_int_equal(blobs_open(&c->blobs, arena_printf(&w.arena, "%s/blobs", w.dir).p, true), 0);
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	c->meter = meter_new(c->loop, c->store);
	c->http = http_server_new(c->loop, NULL, on_request, &w);
	c->service_state = calloc(5, sizeof(void *));
	for (int i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->start)
			assert_int_equal(cloud_services[i]->start(c, &c->service_state[i]), 0);
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/quartet-ecr-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	w.wall_ms = START;
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	w.root = principal_new(PRINCIPAL_ROOT, S("000000000000"));
	open_cloud();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	struct cloud *c = &w.cloud;
	store_settle(c->store);
	for (int i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->stop)
			cloud_services[i]->stop(c->service_state[i]);
	iam_close(c);
	http_server_free(c->http);
	gate_free(c->gate);
	meter_free(c->meter);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
	free(c->service_state);
	principal_unref(w.root);
	arena_done(&w.arena);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

static void settle(void)
{
	for (int i = 0; i < 100; i++) {
		loop_turn(w.cloud.loop, 1000);
		while (work_pending(w.cloud.work))
			loop_turn(w.cloud.loop, 1000);
	}
}

/* The janitor looks every other second: once more after the jump. */
static void pass(int64_t ms)
{
	for (int64_t step = ms; step; step = step == 3000 ? 0 : 3000) {
		w.mono_us += step * 1000;
		w.wall_ms += step;
		clock_fake(w.wall_ms, w.mono_us);
		settle();
	}
}

static void op_done(void *ctx, struct call *sub)
{
	(void)ctx;
	snprintf(w.code, sizeof(w.code), "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	void *copy = arena_zalloc(&w.arena, shape->size);
	if (!w.code[0])
		model_copy(&w.arena, sub->service->api, shape, sub->out, copy);
	w.out = copy;
	w.done = true;
}

static const void *ask(const struct api *api, const char *operation, const void *in, const char *code)
{
	w.done = false;
	call_op(&w.cloud, w.root, S("us-east-1"), api, operation, in, op_done, NULL);
	while (!w.done)
		loop_turn(w.cloud.loop, 1000);
	assert_string_equal(w.code, code);
	return w.out;
}
#define ASK(operation, code, type, ...) \
	ask(&ecr_api, operation, &(struct ecr_##type##_request){.repository_name = S("app"), ##__VA_ARGS__}, code)

static struct str push_blob(struct str bytes)
{
	const struct ecr_initiate_layer_upload_response *u = ASK("InitiateLayerUpload", "", initiate_layer_upload);
	struct str digest = ecr_digest(&w.arena, bytes), id = u->upload_id;
	ASK("UploadLayerPart", "", upload_layer_part, .upload_id = id, .part_first_byte = OPT_INT(0),
	    .part_last_byte = OPT_INT((int64_t)bytes.n - 1), .layer_part_blob = bytes);
	ASK("CompleteLayerUpload", "", complete_layer_upload, .upload_id = id,
	    .layer_digests = {.v = &digest, .n = 1, .set = true});
	return digest;
}

static struct str push_image(const char *tag, struct str config, struct str layer, int64_t size)
{
	struct str text =
	        arena_printf(&w.arena,
	                     "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_OCI "\",\"config\":{\"mediaType\":"
	                     "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%.*s\",\"size\":2},\"layers\":[{"
	                     "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%.*s\",\"size\":%lld}]}",
	                     STR_ARG(config), STR_ARG(layer), (long long)size);
	ASK("PutImage", "", put_image, .image_manifest = text, .image_tag = str_from(tag));
	return ecr_digest(&w.arena, text);
}

static bool available(struct str digest)
{
	const struct ecr_batch_check_layer_availability_response *out =
	        ASK("BatchCheckLayerAvailability", "", batch_check_layer_availability,
	            .layer_digests = {.v = &digest, .n = 1, .set = true});
	return str_is(out->layers.v[0].layer_availability, "AVAILABLE");
}

static uint32_t images(void)
{
	return ((const struct ecr_list_images_response *)ASK("ListImages", "", list_images))->image_ids.n;
}

static void pulled(void *ctx, struct ecr_pulled *image, struct str code, struct str message)
{
	(void)ctx;
	(void)message;
	w.pulled = image;
	snprintf(w.code, sizeof(w.code), "%.*s", STR_ARG(str_set(code) ? code : S("")));
	w.done = true;
}

static struct ecr_pulled *pull(const char *name, const char *architecture)
{
	struct ecr_reference ref;
	assert_true(ecr_reference_read(str_from(name), &ref));
	ref.region = S("us-east-1");
	w.done = false;
	ecr_pull(&w.cloud, w.root, &ref, architecture ? str_from(architecture) : STR_NONE, pulled, NULL);
	while (!w.done)
		loop_turn(w.cloud.loop, 1000);
	return w.pulled;
}

static bool there(struct str path, uint64_t size)
{
	FILE *f = fopen(path.p, "r");
	if (!f)
		return false;
	fseek(f, 0, SEEK_END);
	bool right = (uint64_t)ftell(f) == size;
	fclose(f);
	return right;
}

static void idle_blobs_and_uploads_go(void **state)
{
	(void)state;
	ASK("CreateRepository", "", create_repository);
	struct str config = push_blob(S("{}")), layer = push_blob(S("a layer")), idle = push_blob(S("idle")),
	           asked = push_blob(S("asked"));
	push_image("v1", config, layer, 7);
	struct str upload =
	        ((const struct ecr_initiate_layer_upload_response *)ASK("InitiateLayerUpload", "", initiate_layer_upload))
	                ->upload_id;
	pass(23 * HOUR);
	assert_true(available(asked)); /* from now on it has another day */
	ASK("UploadLayerPart", "", upload_layer_part, .upload_id = upload, .part_first_byte = OPT_INT(0),
	    .part_last_byte = OPT_INT(0), .layer_part_blob = S("x"));
	pass(2 * HOUR);
	assert_false(available(idle));
	assert_true(available(config) && available(layer));
	ASK("UploadLayerPart", "", upload_layer_part, .upload_id = upload, .part_first_byte = OPT_INT(1),
	    .part_last_byte = OPT_INT(1), .layer_part_blob = S("y"));
	pass(25 * HOUR);
	assert_false(available(asked));
	assert_true(available(config) && available(layer));
	ASK("UploadLayerPart", "UploadNotFoundException", upload_layer_part, .upload_id = upload, .part_first_byte = OPT_INT(2),
	    .part_last_byte = OPT_INT(2), .layer_part_blob = S("z"));
}

static void images_expire_after_days(void **state)
{
	(void)state;
	ASK("CreateRepository", "", create_repository);
	struct str config = push_blob(S("{}")), old = push_blob(S("old"));
	push_image("old", config, old, 3);
	ASK("PutLifecyclePolicy", "", put_lifecycle_policy,
	    .lifecycle_policy_text =
	            S("{\"rules\":[{\"rulePriority\":1,\"selection\":{\"tagStatus\":\"any\",\"countType\":\"sinceImagePushed\","
	              "\"countUnit\":\"days\",\"countNumber\":3},\"action\":{\"type\":\"expire\"}}]}"));
	pass(2 * DAY);
	struct str new = push_blob(S("new"));
	push_image("new", config, new, 3);
	assert_int_equal(images(), 2);
	/* Somebody reads the old one: its files stay until they are given back. */
	struct ecr_pulled *p = pull("127.0.0.1:1/app:old", NULL);
	assert_non_null(p);
	struct str path = arena_dup(&w.arena, p->layers[0].path);
	pass(DAY + HOUR);
	assert_int_equal(images(), 1);
	pass(25 * HOUR);
	assert_false(available(old));
	assert_true(available(new) && available(config));
	assert_true(there(path, 3));
	ecr_pulled_free(p);
	settle();
	assert_false(there(path, 3));
	pass(DAY);
	assert_int_equal(images(), 0);
}

static void other_services_pull(void **state)
{
	(void)state;
	ASK("CreateRepository", "", create_repository);
	struct str config = push_blob(S("{}")), layer = push_blob(S("a layer"));
	struct str digest = push_image("v1", config, layer, 7);
	struct ecr_pulled *p = pull("000000000000.dkr.ecr.us-east-1.amazonaws.com/app:v1", NULL);
	assert_non_null(p);
	assert_int_equal(p->layer_count, 1);
	assert_true(str_eq(p->digest, digest) && str_eq(p->manifest_digest, digest));
	assert_true(str_eq(p->config.digest, config) && str_eq(p->layers[0].digest, layer));
	assert_true(there(p->config.path, 2) && there(p->layers[0].path, 7));
	ecr_pulled_free(p);
	/* An index: the image of the platform, and the index's own digest. */
	struct str index = arena_printf(
	        &w.arena,
	        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_OCI_INDEX "\",\"manifests\":[{\"mediaType\":\"" MANIFEST_OCI
	        "\",\"digest\":\"%.*s\",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}}]}",
	        STR_ARG(digest));
	ASK("PutImage", "", put_image, .image_manifest = index, .image_tag = S("latest"));
	p = pull("127.0.0.1:1/app", "arm64");
	assert_non_null(p);
	assert_true(str_eq(p->digest, ecr_digest(&w.arena, index)) && str_eq(p->manifest_digest, digest));
	ecr_pulled_free(p);
	assert_null(pull("127.0.0.1:1/app", "amd64"));
	assert_string_equal(w.code, "UnsupportedImageTypeException");
	assert_null(pull("127.0.0.1:1/app:none", NULL));
	assert_string_equal(w.code, "ImageNotFoundException");
	assert_null(pull("127.0.0.1:1/nothing", NULL));
	assert_string_equal(w.code, "RepositoryNotFoundException");
	assert_null(pull("111122223333.dkr.ecr.us-east-1.amazonaws.com/app", NULL));
	assert_string_equal(w.code, "AccessDeniedException");
}

static void storage_is_billed(void **state)
{
	(void)state;
	enum { MIB = 1 << 20 };
	char *bytes = malloc(MIB);
	assert_non_null(bytes);
	memset(bytes, 'x', MIB);
	ASK("CreateRepository", "", create_repository);
	struct str config = push_blob(S("{}")), layer = push_blob(str_of(bytes, MIB));
	free(bytes);
	push_image("v1", config, layer, MIB);
	pass(2 * DAY);
	struct ce_date_interval days = {S("2026-01-01"), S("2026-02-01")};
	struct str metrics[] = {S("UsageQuantity")};
	struct ce_group_definition by = {S("DIMENSION"), S("USAGE_TYPE")};
	struct ce_get_cost_and_usage_request in = {.time_period = &days,
	                                           .granularity = S("MONTHLY"),
	                                           .metrics = {.v = metrics, .n = 1, .set = true},
	                                           .group_by = {.v = &by, .n = 1, .set = true}};
	const struct ce_get_cost_and_usage_response *out = ask(&ce_api, "GetCostAndUsage", &in, "");
	const struct ce_group *g = out->results_by_time.v[0].groups.v;
	assert_str(g->keys.v[0], "TimedStorage-ByteHrs");
	double quantity;
	assert_true(str_to_double(g->metrics.v[0].value.amount, &quantity));
	/* 1025 KiB for two of 31 days. */
	assert_true(quantity > 0.0000630 && quantity < 0.0000632);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(idle_blobs_and_uploads_go, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(images_expire_after_days, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(other_services_pull, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(storage_is_billed, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
