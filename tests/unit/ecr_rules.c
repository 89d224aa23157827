/* What ECR reads out of texts, and whom a lifecycle policy means. */
#include "unit.h"

#include "aws/ecr/ecr.h"
#include "aws/ecr/lifecycle.h"
#include "aws/ecr/manifest.h"

#define DAY_MS INT64_C(86400000)
#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static void names_tags_digests(void **state)
{
	(void)state;
	static const char *const good[] = {"ab", "a/b", "team/app", "a-b", "a.b_c", "a__b", "a---b", "0/1/2"};
	static const char *const bad[] = {"", "a", "A/b", "a/", "/a", "a//b", "a..b", "a___b", "-a", "a.", "a/-b", "a b"};
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(ecr_name_good(str_from(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(ecr_name_good(str_from(bad[i])));
	assert_true(ecr_tag_good(S("1.0-rc_2")));
	assert_false(ecr_tag_good(S("-x")) || ecr_tag_good(S("")) || ecr_tag_good(S("a/b")));
	assert_true(ecr_digest_good(S(D1)));
	assert_false(ecr_digest_good(S("sha256:11")) || ecr_digest_good(S("sha512:1111")));
}

static void references(void **state)
{
	(void)state;
	struct ecr_reference r;
	assert_true(ecr_reference_read(S("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1@" D1), &r));
	assert_str(r.account, "123456789012");
	assert_str(r.region, "eu-west-1");
	assert_str(r.repository, "team/app");
	assert_str(r.tag, "1");
	assert_str(r.digest, D1);
	assert_true(ecr_reference_read(S("127.0.0.1:4566/app"), &r));
	assert_false(str_set(r.account) || str_set(r.tag) || str_set(r.digest));
	assert_true(ecr_reference_read(S("123456789012.dkr.ecr.us-east-1.localhost:4566/app:x"), &r));
	static const char *const other[] = {"nginx:1",
	                                    "public.ecr.aws/a/b",
	                                    "123.dkr.ecr.eu-west-1.amazonaws.com/app",
	                                    "123456789012.dkr.ecr.eu-west-1.example.com/app",
	                                    "127.0.0.1:4566/App",
	                                    "127.0.0.1:4566/app:-x",
	                                    "127.0.0.1:x/app",
	                                    "127.0.0.1:4566/app@sha256:1"};
	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
		assert_false(ecr_reference_read(str_from(other[i]), &r));
}

static void manifests(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct ecr_manifest m;
	struct str why;
	struct str text =
	        S("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" D1
	          "\",\"size\":2},\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D2 "\",\"size\":3}]}");
	assert_false(ecr_manifest_read(&a, text, STR_NONE, &m, &why)); /* no type */
	assert_true(ecr_manifest_read(&a, text, S(MANIFEST_OCI), &m, &why));
	assert_true(m.image && !m.index && m.count == 1);
	assert_str(m.parts[0].digest, D2);
	assert_false(ecr_manifest_read(&a, text, S(MANIFEST_OCI_INDEX), &m, &why));
	assert_false(
	        ecr_manifest_read(&a, S("{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_DOCKER "\"}"), S(MANIFEST_OCI), &m, &why));
	assert_false(ecr_manifest_read(&a, S("{\"schemaVersion\":1}"), S(MANIFEST_OCI), &m, &why));
}

static struct str_list tags(struct arena *a, const char *one, const char *two)
{
	struct str_list l = {0};
	if (one)
		*LIST_ADD(a, &l) = str_from(one);
	if (two)
		*LIST_ADD(a, &l) = str_from(two);
	return l;
}

#define RULE(priority, selection) "{\"rulePriority\":" priority ",\"selection\":{" selection "},\"action\":{\"type\":\"expire\"}}"

static void days_and_counts(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct lifecycle_rules rules;
	struct str why;
	int64_t now = 100 * DAY_MS;
	struct lifecycle_image images[] = {
	        {.digest = S("a"), .pushed_ms = now - 20 * DAY_MS, .tags = tags(&a, "dev-1", NULL)},
	        {.digest = S("b"), .pushed_ms = now - 9 * DAY_MS, .tags = tags(&a, "dev-2", "prod-2")},
	        {.digest = S("c"), .pushed_ms = now - 10 * DAY_MS, .tags = tags(&a, NULL, NULL)},
	        {.digest = S("d"), .pushed_ms = now - 11 * DAY_MS, .tags = tags(&a, NULL, NULL)},
	        {.digest = S("e"), .pushed_ms = now - 99 * DAY_MS, .tags = tags(&a, NULL, NULL), .held = true},
	        {.digest = S("f"), .pushed_ms = now - 30 * DAY_MS, .tags = tags(&a, "prod-1", NULL)},
	};
	struct str text = S(
	        "{\"rules\":[" RULE("3", "\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "," RULE("1", "\"tagStatus\":\"untagged\",\"countType\":\"sinceImagePushed\",\"countUnit\":\"days\",\"countNumber\":10") "," RULE(
	                "2",
	                "\"tagStatus\":\"tagged\",\"tagPatternList\":[\"*od-*\"],\"storageClass\":\"standard\",\"countType\":\"imageCountMoreThan\",\"countNumber\":5") "]}");
	assert_true(ecr_lifecycle_read(&a, text, &rules, &why));
	ecr_lifecycle_apply(&rules, images, 6, now);
	/* d is over ten days; c is exactly ten; of the rest any image beyond the newest two goes, but not those that a rule before
	 * means: prod-1 and prod-2 are the second's, whatever it decides. */
	for (unsigned i = 0; i < 6; i++) {
		char name = images[i].digest.p[0];
		assert_int_equal(images[i].priority, name == 'd' ? 1 : name == 'a' ? 3 : 0);
	}
}

static void bad_rules(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct lifecycle_rules rules;
	struct str why;
	static const char *const texts[] = {
	        "",
	        "{}",
	        "{\"rules\":[]}",
	        "{\"rules\":[{}]}",
	        "{\"rules\":[" RULE("0", "\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "]}",
	        "{\"rules\":[" RULE("1", "\"tagStatus\":\"any\",\"countType\":\"sinceImagePushed\",\"countNumber\":2") "]}",
	        "{\"rules\":[" RULE(
	                "1",
	                "\"tagStatus\":\"any\",\"storageClass\":\"archive\",\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "]}",
	        "{\"rules\":[" RULE(
	                "1",
	                "\"tagStatus\":\"any\",\"countType\":\"sinceImagePulled\",\"countUnit\":\"days\",\"countNumber\":2") "]}",
	        "{\"rules\":[" RULE(
	                "1",
	                "\"tagStatus\":\"untagged\",\"tagPrefixList\":[\"x\"],\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "]}",
	        "{\"rules\":[" RULE("1", "\"tagStatus\":\"any\",\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "," RULE(
	                "2", "\"tagStatus\":\"untagged\",\"countType\":\"imageCountMoreThan\",\"countNumber\":2") "]}",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_false(ecr_lifecycle_read(&a, str_from(texts[i]), &rules, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(names_tags_digests), cmocka_unit_test(references), cmocka_unit_test(manifests),
	        cmocka_unit_test(days_and_counts),    cmocka_unit_test(bad_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
