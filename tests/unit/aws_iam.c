#include "unit.h"

#include "aws/iam/iam.h"
#include "aws/iam/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
	char dir[64], state[96], credentials[96], config[96];
	struct cloud cloud;
};

static void stop(void *ctx)
{
	loop_stop(ctx);
}

static void open_iam(struct world *w, bool well_known)
{
	char why[200];
	w->cloud = (struct cloud){.loop = loop_new()};
	assert_int_equal(
	        store_open(&w->cloud.store, w->cloud.loop, &(struct store_config){.path = w->state, .ephemeral = true}, why), 0);
	iam_open(&w->cloud,
	         &(struct iam_config){.well_known = well_known, .config_file = w->config, .credentials_file = w->credentials});
	/* The key of session tokens gets stored meanwhile. */
	loop_add_timer(w->cloud.loop, 50000, stop, w->cloud.loop);
	loop_run(w->cloud.loop);
}

static void close_iam(struct world *w)
{
	iam_close(&w->cloud);
	store_close(w->cloud.store);
	loop_free(w->cloud.loop);
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	strcpy(w->dir, "/tmp/quartet-iam-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->state, sizeof(w->state), "%s/state", w->dir);
	snprintf(w->credentials, sizeof(w->credentials), "%s/credentials", w->dir);
	snprintf(w->config, sizeof(w->config), "%s/config", w->dir);
	FILE *f = fopen(w->config, "w");
	assert_non_null(f);
	fputs("listen = x\n[credentials]\n# ours\nAKIDONE = one's secret, 111111111111\nAKIDTWO = two\n[other]\nAKIDTHREE = three, 333333333333\n",
	      f);
	fclose(f);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", w->dir);
	int ignored = system(command);
	(void)ignored;
	free(w);
	return 0;
}

static enum key_state find(struct world *w, struct str id, struct str token, int64_t now_ms, struct credential *ret)
{
	*ret = (struct credential){0};
	return w->cloud.identity.find_key(w->cloud.identity.ctx, id, token, now_ms, ret);
}

static void keys_of_roots(void **state)
{
	struct world *w = *state;
	struct credential c;
	open_iam(w, true);
	assert_int_equal(find(w, S("AKIDONE"), STR_NONE, 0, &c), KEY_GOOD);
	assert_str(c.secret, "one's secret");
	assert_str(c.principal->arn, "arn:aws:iam::111111111111:root");
	assert_false(c.well_known);
	principal_unref(c.principal);
	assert_int_equal(find(w, S("AKIDTWO"), STR_NONE, 0, &c), KEY_GOOD);
	assert_str(c.principal->account, "000000000000");
	principal_unref(c.principal);
	assert_int_equal(find(w, S("AKIDTWO"), S("token"), 0, &c), KEY_BAD_TOKEN);
	assert_int_equal(find(w, S("AKIDTHREE"), STR_NONE, 0, &c), KEY_UNKNOWN);
	assert_int_equal(find(w, S("test"), STR_NONE, 0, &c), KEY_GOOD);
	assert_true(c.well_known);
	principal_unref(c.principal);
	assert_int_equal(find(w, S("123456789012"), S("any token"), 0, &c), KEY_GOOD);
	assert_str(c.principal->account, "123456789012");
	assert_str(c.secret, "test");
	principal_unref(c.principal);
	assert_int_equal(find(w, S("12345678901"), STR_NONE, 0, &c), KEY_UNKNOWN);
	assert_int_equal(find(w, S(""), STR_NONE, 0, &c), KEY_UNKNOWN);
	close_iam(w);
	open_iam(w, false);
	assert_int_equal(find(w, S("test"), STR_NONE, 0, &c), KEY_UNKNOWN);
	assert_int_equal(find(w, S("123456789012"), STR_NONE, 0, &c), KEY_UNKNOWN);
	close_iam(w);
}

static struct str file_value(struct arena *a, const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char line[200];
	struct str found = STR_NONE;
	while (fgets(line, sizeof(line), f)) {
		struct str value = str_from(line), key = str_trim(str_cut(&value, '='));
		if (str_is(key, name))
			found = arena_dup(a, str_trim(value));
	}
	fclose(f);
	return found;
}

static void first_start_makes_a_key(void **state)
{
	struct world *w = *state;
	struct arena CLEAN_ARENA a = {0};
	struct credential c;
	struct stat st;
	open_iam(w, false);
	assert_int_equal(stat(w->credentials, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	struct str id = file_value(&a, w->credentials, "aws_access_key_id"),
	           secret = file_value(&a, w->credentials, "aws_secret_access_key");
	assert_int_equal(secret.n, 40);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(find(w, id, STR_NONE, 0, &c), KEY_GOOD);
		assert_true(str_eq(c.secret, secret));
		assert_str(c.principal->arn, "arn:aws:iam::000000000000:root");
		principal_unref(c.principal);
		/* The next start takes the same one. */
		close_iam(w);
		open_iam(w, false);
	}
	close_iam(w);
}

static void sessions_are_sealed(void **state)
{
	struct world *w = *state;
	struct arena CLEAN_ARENA a = {0};
	struct iam_credentials made, other;
	struct credential c;
	struct state_iam_session_record r = {
	        .kind = OPT_INT(PRINCIPAL_FEDERATED),
	        .account = S("111111111111"),
	        .name = S("bob"),
	        .issued = OPT_TIME(1000000),
	        .expires = OPT_TIME(2000000),
	        .policy = S(
	                "{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"),
	};
	open_iam(w, true);
	iam_session_make(&w->cloud, &a, &r, &made);
	iam_session_make(&w->cloud, &a, &r, &other);
	assert_int_equal(made.secret.n, 40);
	assert_false(str_eq(made.secret, other.secret));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(find(w, made.access_key_id, made.token, 1999999, &c), KEY_GOOD);
		assert_true(str_eq(c.secret, made.secret));
		assert_str(c.principal->arn, "arn:aws:sts::111111111111:federated-user/bob");
		assert_true(c.principal->temporary);
		/* What the root user federates may what the session policy says, and no more. */
		struct principal_policies p;
		w->cloud.identity.policies(w->cloud.identity.ctx, c.principal, &p);
		assert_int_equal(p.identity_count, 1);
		assert_int_equal(p.session_count, 1);
		principal_unref(c.principal);
	}
	assert_int_equal(find(w, made.access_key_id, made.token, 2000000, &c), KEY_EXPIRED);
	assert_int_equal(find(w, made.access_key_id, STR_NONE, 0, &c), KEY_UNKNOWN);
	/* A token belongs to its key, and every bit of it counts. */
	assert_int_equal(find(w, made.access_key_id, other.token, 0, &c), KEY_BAD_TOKEN);
	char *bent = arena_dupz(&a, made.token);
	for (size_t i = 0; i < made.token.n; i += 7) {
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		if (bent[i] != made.token.p[i])
			assert_int_equal(find(w, made.access_key_id, str_of(bent, made.token.n), 0, &c), KEY_BAD_TOKEN);
		bent[i] = made.token.p[i];
	}
	assert_int_equal(find(w, made.access_key_id, S("AQ"), 0, &c), KEY_BAD_TOKEN);
	/* One of a role that is not there (any more). */
	r.kind = OPT_INT(PRINCIPAL_ROLE);
	r.issuer_name = S("gone");
	r.issuer_id = S("AROAGONE");
	iam_session_make(&w->cloud, &a, &r, &other);
	assert_int_equal(find(w, other.access_key_id, other.token, 0, &c), KEY_UNKNOWN);
	close_iam(w);
}

/* Known sessions are a cache: expired ones leave it, and what leaves it is known again by its token. */
static void sessions_leave_when_they_expire(void **state)
{
	enum { MANY = 600, LEFT = 300 };
	struct world *w = *state;
	struct arena CLEAN_ARENA a = {0};
	struct iam_credentials made[MANY];
	struct credential c;
	struct state_iam_session_record r = {.kind = OPT_INT(PRINCIPAL_FEDERATED),
	                                     .account = S("111111111111"),
	                                     .name = S("bob"),
	                                     .issued = OPT_TIME(1000),
	                                     .expires = OPT_TIME(2000)};
	open_iam(w, true);
	size_t most = 0;
	for (int i = 0; i < MANY; i++) {
		/* each lives as long as 50 others take to come */
		r.issued = OPT_TIME(1000 + i);
		r.expires = OPT_TIME(1050 + i);
		iam_session_make(&w->cloud, &a, &r, &made[i]);
		assert_int_equal(find(w, made[i].access_key_id, made[i].token, 1000 + i, &c), KEY_GOOD);
		principal_unref(c.principal);
		if (iam_of(&w->cloud)->sessions.count > most)
			most = iam_of(&w->cloud)->sessions.count;
	}
	assert_true(most < LEFT);
	assert_int_equal(find(w, made[0].access_key_id, made[0].token, 1049, &c), KEY_GOOD);
	principal_unref(c.principal);
	assert_int_equal(find(w, made[0].access_key_id, made[0].token, 1050, &c), KEY_EXPIRED);
	close_iam(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(keys_of_roots, begin, end),
	        cmocka_unit_test_setup_teardown(first_start_makes_a_key, begin, end),
	        cmocka_unit_test_setup_teardown(sessions_are_sealed, begin, end),
	        cmocka_unit_test_setup_teardown(sessions_leave_when_they_expire, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
