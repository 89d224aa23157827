/* ACM on a clock that the test moves: who shows nothing for three days gets nothing, what is used cannot be deleted and is renewed
 * before it ends, what is not used ends; and the way of other services to a certificate, IAM's too. */
#include "world.h"

#include "aws/acm/rows.h"
#include "aws/iam/iam.h"
#include "core/call.h"
#include "engine/metrics/metrics.h"
#include "gen/iam.h"
#include "gen/route53.h"
#include "io/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern const struct service iam_service, route53_service, sts_service;
const struct service *const cloud_services[] = {&acm_service, &iam_service, &route53_service, &sts_service, NULL};

#define START INT64_C(1767225600000) /* 2026-01-01 */
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)
#define LISTENER "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/web/1/2"

static struct {
	struct acm_watch *watch;
	unsigned changes;
	struct str changed;
} w;

static void on_change(void *ctx, struct str arn)
{
	(void)ctx;
	w.changes++;
	w.changed = arena_dup(&world.arena, arn);
}

static void watch(void)
{
	w.watch = acm_watch(&world.cloud, on_change, NULL);
}

static void restart(void)
{
	acm_unwatch(w.watch);
	world_close();
	world_open();
	watch();
}

static int set_up(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	int result = world_begin(1, WORLD_METRICS | WORLD_SEAL | WORLD_HTTP);
	watch();
	return result;
}

static int tear_down(void **state)
{
	(void)state;
	acm_unwatch(w.watch);
	return world_end();
}

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)revision;
	*(int *)ctx = result;
}

static void commit(struct store_txn *t)
{
	int result = 1;
	store_commit(t, committed, &result);
	while (result == 1)
		loop_turn(world.cloud.loop, 1000);
	assert_int_equal(result, 0);
}

/* In steps that no timer is left out by; what was to be committed by then is. */
static void settle(void)
{
	struct arena CLEAN_ARENA a = {0};
	for (int i = 0; i < 20; i++) {
		world.mono_us += 20000;
		world_move_clock(0);
		loop_turn(world.cloud.loop, 1000);
		while (work_pending(world.cloud.work))
			loop_turn(world.cloud.loop, 1000);
		struct store_txn *t = store_begin(world.cloud.store, &a);
		store_put(t, S("settled"), S(""));
		commit(t);
	}
}

static void pass(int64_t ms)
{
	for (int64_t step = ms; step; step = step == 61000 ? 0 : 61000) {
		world_move_clock(step);
		settle();
	}
}

static const void *ask(const struct api *api, const char *operation, const void *in, const char *code)
{
	const void *out = world_ask(&world.arena, api, operation, in);
	assert_string_equal(world.code, code);
	return out;
}

static struct str request(const char *name, const char *method)
{
	const struct acm_request_certificate_request in = {
	        .domain_name = str_from(name), .validation_method = str_from(method), .key_algorithm = S("EC_prime256v1")};
	const struct acm_request_certificate_response *out = ask(&acm_api, "RequestCertificate", &in, "");
	return out->certificate_arn;
}

static const struct acm_certificate_detail *describe(struct str arn)
{
	const struct acm_describe_certificate_request in = {.certificate_arn = arn};
	return ((const struct acm_describe_certificate_response *)ask(&acm_api, "DescribeCertificate", &in, ""))->certificate;
}

static void drop(struct str arn, const char *code)
{
	const struct acm_delete_certificate_request in = {.certificate_arn = arn};
	ask(&acm_api, "DeleteCertificate", &in, code);
}

static void use(struct str arn, bool on)
{
	struct arena CLEAN_ARENA a = {0};
	struct acm_certificate found;
	struct store_txn *t = store_begin(world.cloud.store, &a);
	assert_true(acm_find(&world.cloud, t, &a, arn, &found));
	(on ? acm_use : acm_unuse)(t, &a, arn, S(LISTENER));
	commit(t);
}

static bool find(struct str arn, struct acm_certificate *ret)
{
	struct store_txn *t = store_begin(world.cloud.store, &world.arena);
	bool found = acm_find(&world.cloud, t, &world.arena, arn, ret);
	store_abort(t);
	return found;
}

static void change_record(struct str zone, const char *action, const struct acm_resource_record *r)
{
	struct route53_resource_record value = {.value = r->value};
	struct route53_resource_record_set set = {
	        .name = r->name, .type = S("CNAME"), .ttl = OPT_INT(60), .resource_records = {.v = &value, .n = 1, .set = true}};
	struct route53_change change = {.action = str_from(action), .resource_record_set = &set};
	struct route53_change_batch batch = {.changes = {.v = &change, .n = 1, .set = true}};
	const struct route53_change_resource_record_sets_request in = {.hosted_zone_id = zone, .change_batch = &batch};
	ask(&route53_api, "ChangeResourceRecordSets", &in, "");
}

static struct str make_zone(const char *name)
{
	const struct route53_create_hosted_zone_request in = {.name = str_from(name), .caller_reference = S("once")};
	const struct route53_create_hosted_zone_response *out = ask(&route53_api, "CreateHostedZone", &in, "");
	return str_from_at(out->hosted_zone->id, strlen("/hostedzone/"));
}

/* --- the tests */

static void who_shows_nothing_gets_nothing(void **state)
{
	(void)state;
	struct str dns = request("www.example.com", "DNS"), mail = request("mail.example.com", "EMAIL");
	struct acm_certificate none;
	pass(71 * HOUR);
	assert_str(describe(dns)->status, "PENDING_VALIDATION");
	assert_str(describe(mail)->status, "PENDING_VALIDATION");
	pass(HOUR);
	assert_str(describe(dns)->status, "VALIDATION_TIMED_OUT");
	assert_str(describe(mail)->status, "VALIDATION_TIMED_OUT");
	assert_false(find(dns, &none));
	/* The record comes too late. */
	struct str zone = make_zone("example.com");
	change_record(zone, "CREATE", describe(dns)->domain_validation_options.v[0].resource_record);
	pass(HOUR);
	assert_str(describe(dns)->status, "VALIDATION_TIMED_OUT");
	drop(dns, "");
	/* It is there for the next one. */
	dns = request("www.example.com", "DNS");
	settle();
	assert_str(describe(dns)->status, "ISSUED");
}

static void others_find_it_with_its_key_and_keep_it(void **state)
{
	(void)state;
	struct str arn = request("a.localhost", "DNS");
	struct acm_certificate found;
	settle();
	assert_true(find(arn, &found));
	int at;
	assert_int_equal(cert_check(&found.pem, &at), CERT_GOOD);
	assert_true(str_starts(found.pem.key, S("-----BEGIN PRIVATE KEY-----")));
	assert_str(found.names.v[0], "a.localhost");
	assert_str(found.key_algorithm, "EC_prime256v1");
	assert_false(find(S("arn:aws:acm:us-east-1:000000000000:certificate/x"), &found));
	assert_false(find(S("arn:aws:iam::000000000000:server-certificate/x"), &found));
	w.changes = 0;
	use(arn, true);
	use(arn, true);
	const struct acm_certificate_detail *d = describe(arn);
	assert_int_equal(d->in_use_by.n, 1);
	assert_str(d->in_use_by.v[0], LISTENER);
	assert_str(d->renewal_eligibility, "ELIGIBLE");
	assert_true(w.changes >= 1 && str_eq(w.changed, arn));
	drop(arn, "ResourceInUseException");
	use(arn, false);
	assert_int_equal(describe(arn)->in_use_by.n, 0);
	drop(arn, "");
	assert_false(find(arn, &found));
}

static void what_is_used_is_renewed_before_it_ends(void **state)
{
	(void)state;
	struct str used = request("used.localhost", "DNS"), idle = request("idle.localhost", "DNS");
	struct str zone = make_zone("example.com");
	struct str shown = request("shown.example.com", "DNS");
	const struct acm_resource_record *record = describe(shown)->domain_validation_options.v[0].resource_record;
	change_record(zone, "CREATE", record);
	settle();
	use(used, true);
	use(shown, true);
	change_record(zone, "DELETE", record);
	int64_t end = describe(used)->not_after.ms;
	struct str serial = describe(used)->serial;
	pass(152 * DAY);
	assert_int_equal(describe(used)->not_after.ms, end);
	pass(2 * DAY);
	const struct acm_certificate_detail *d = describe(used);
	assert_true(d->not_after.ms > end + 150 * DAY);
	assert_false(str_eq(d->serial, serial));
	assert_str(d->renewal_summary->renewal_status, "SUCCESS");
	assert_str(d->status, "ISSUED");
	assert_int_equal(d->in_use_by.n, 1);
	/* Its owner does not show the name any more, until he does. */
	d = describe(shown);
	assert_str(d->renewal_summary->renewal_status, "PENDING_VALIDATION");
	assert_true(d->not_after.ms <= end + HOUR);
	change_record(zone, "CREATE", record);
	settle();
	d = describe(shown);
	assert_str(d->renewal_summary->renewal_status, "SUCCESS");
	assert_true(d->not_after.ms > end + 150 * DAY);
	pass(45 * DAY);
	assert_str(describe(idle)->status, "EXPIRED");
	assert_str(describe(used)->status, "ISSUED");
}

static struct metric_points days_left(struct str arn)
{
	const struct metric_dimension by[] = {{S("CertificateArn"), arn}};
	const struct metric m = {.account = S("000000000000"),
	                         .region = S("us-east-1"),
	                         .space = S("AWS/CertificateManager"),
	                         .name = S("DaysToExpiry"),
	                         .dimensions = by,
	                         .dimension_count = 1};
	return metrics_read(world.cloud.metrics, &world.arena,
	                    &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 4 * DAY, .period_s = 3600});
}

static void days_are_counted(void **state)
{
	(void)state;
	struct str arn = request("a.localhost", "DNS"), pending = request("www.example.com", "DNS");
	for (int i = 0; i < 4; i++)
		pass(12 * HOUR);
	struct metric_points p = days_left(arn);
	assert_in_range(p.n, 3, 5);
	assert_true(p.v[0].set.min >= 197 && p.v[0].set.max <= 198);
	assert_true(p.v[p.n - 1].set.min == 196 || p.v[p.n - 1].set.min == 195);
	assert_int_equal(days_left(pending).n, 0);
}

static void a_start_goes_on_where_it_was(void **state)
{
	(void)state;
	struct str arn = request("b.localhost", "DNS");
	/* Stopped before anything was made of it; what a thread is at comes to nothing. */
	restart();
	settle();
	assert_str(describe(arn)->status, "ISSUED");
	struct str serial = describe(arn)->serial;
	restart();
	settle();
	assert_str(describe(arn)->serial, serial.p ? arena_dupz(&world.arena, serial) : "");
}

static void a_certificate_of_iam_is_kept_while_it_is_used(void **state)
{
	(void)state;
	struct str arn = request("c.localhost", "DNS");
	struct acm_certificate source;
	settle();
	assert_true(find(arn, &source));
	const struct iam_upload_server_certificate_request up = {.server_certificate_name = S("Web"),
	                                                         .path = S("/x/"),
	                                                         .certificate_body = source.pem.body,
	                                                         .certificate_chain = source.pem.chain,
	                                                         .private_key = source.pem.key};
	ask(&iam_api, "UploadServerCertificate", &up, "");
	const char *name = "arn:aws:iam::000000000000:server-certificate/x/Web";
	struct iam_certificate found;
	struct store_txn *t = store_begin(world.cloud.store, &world.arena);
	assert_false(
	        iam_certificate_find(&world.cloud, t, &world.arena, S("arn:aws:iam::000000000000:server-certificate/Web"), &found));
	assert_true(iam_certificate_find(&world.cloud, t, &world.arena, str_from(name), &found));
	assert_true(str_eq(found.pem.key, source.pem.key));
	iam_certificate_use(t, &world.arena, S("000000000000"), found.id, S(LISTENER));
	commit(t);
	const struct iam_delete_server_certificate_request drop_it = {.server_certificate_name = S("Web")};
	ask(&iam_api, "DeleteServerCertificate", &drop_it, "DeleteConflict");
	t = store_begin(world.cloud.store, &world.arena);
	iam_certificate_unuse(t, &world.arena, S("000000000000"), found.id, S(LISTENER));
	commit(t);
	ask(&iam_api, "DeleteServerCertificate", &drop_it, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(who_shows_nothing_gets_nothing, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(others_find_it_with_its_key_and_keep_it, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(what_is_used_is_renewed_before_it_ends, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(days_are_counted, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_start_goes_on_where_it_was, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_certificate_of_iam_is_kept_while_it_is_used, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
