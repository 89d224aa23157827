/* What the service reads of a source bundle: options of .ebextensions in both ways to write them, and the environment manifest. */
#include "aws/elasticbeanstalk/bundle.h"

#include "unit.h"

static struct bundle taken(struct arena *a, const char *const *texts, unsigned n)
{
	struct bundle b = {0};
	for (unsigned i = 0; i < n; i++)
		bundle_take(a, &b, arena_printf(a, "%u.config", i), str_from(texts[i]), S("v1"));
	return b;
}

static const char *value(const struct elasticbeanstalk_configuration_option_settings_list *l, const char *space, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].namespace, space) && str_is(l->v[i].option_name, name))
			return l->v[i].value.p;
	return "";
}
#define PROPERTIES "aws:elasticbeanstalk:application:environment"

static void takes_options(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	static const char *const texts[] = {
	        "option_settings:\n  aws:autoscaling:asg:\n    MinSize: 2\n    MaxSize: '3'\n  " PROPERTIES ":\n    A: first\n",
	        ("{\"option_settings\": [{\"option_name\": \"A\", \"value\": \"second\"}, {\"namespace\": \"aws:autoscaling:asg\", "
	         "\"option_name\": \"MinSize\", \"value\": 1}]}"),
	        "option_settings:\ncommands:\n  a: {command: x}\n", "", "option_settings:\n  x:y:\n    Z: [a, b]\n"};
	(void)state;
	struct bundle b = taken(&a, texts, sizeof(texts) / sizeof(*texts));
	assert_false(str_set(b.wrong));
	assert_int_equal(b.options.n, 4);
	assert_string_equal(value(&b.options, "aws:autoscaling:asg", "MinSize"), "1");
	assert_string_equal(value(&b.options, "aws:autoscaling:asg", "MaxSize"), "3");
	assert_string_equal(value(&b.options, PROPERTIES, "A"), "second");
	assert_string_equal(value(&b.options, "x:y", "Z"), "a,b");
}

static void judges_files(void **state)
{
	static const struct {
		const char *text, *wrong, *skipped;
	} cases[] = {{"a: [",
	              "The configuration file .ebextensions/0.config in application version v1 contains invalid YAML or JSON.",
	              NULL},
	             {"Resources:\n  A: {Type: B}\n", "declares Resources", NULL},
	             {"Resources:\n", NULL, NULL},
	             {"option_settings: x", "are neither a map nor a list", NULL},
	             {"option_settings:\n  a: b\n", "are no map of namespaces", NULL},
	             {"option_settings:\n  - a\n", "have an entry that is no map", NULL},
	             {"option_settings:\n  - namespace: a\n    value: b\n", "have an entry without option_name and value", NULL},
	             {"nonsense: 1", NULL,
	              "Error processing file (Skipping): '.ebextensions/0.config' - Contains invalid key: 'nonsense'."},
	             {"- a", NULL, "Error processing file (Skipping): '.ebextensions/0.config' - it is no map"}};
	struct arena CLEAN_ARENA a = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bundle b = taken(&a, &cases[i].text, 1);
		assert_int_equal(str_set(b.wrong), cases[i].wrong != NULL);
		assert_int_equal(b.skipped.n, cases[i].skipped ? 1 : 0);
		if (cases[i].wrong && str_find(b.wrong, str_from(cases[i].wrong)) < 0)
			fail_msg("%s: %.*s", cases[i].text, STR_ARG(b.wrong));
		if (cases[i].skipped)
			assert_true(str_is(b.skipped.v[0], cases[i].skipped));
	}
}

static void takes_manifest(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	struct bundle b = {0};
	(void)state;
	bundle_take_manifest(
	        &a, &b,
	        S("AWSConfigurationTemplateVersion: 1.1.0.0\nSolutionStack: 64bit X\nEnvironmentName: front+\nCName: web\n"
	          "OptionSettings:\n  aws:autoscaling:asg:\n    MinSize: 2\nTags:\n  team: red\n"
	          "EnvironmentTier:\n  Name: WebServer\n  Type: Standard\nEnvironmentLinks:\n  WORKERQUEUE: worker+\n"),
	        S("v1"));
	assert_false(str_set(b.wrong));
	assert_true(b.manifest.there && str_is(b.manifest.name, "front+") && str_is(b.manifest.cname, "web"));
	assert_true(str_is(b.manifest.stack, "64bit X") && str_is(b.manifest.tier_name, "WebServer"));
	assert_string_equal(value(&b.manifest_options, "aws:autoscaling:asg", "MinSize"), "2");
	assert_true(b.manifest.tags.n == 1 && b.manifest.links.n == 1);
	assert_true(str_is(b.manifest.links.v[0].link_name, "WORKERQUEUE") &&
	            str_is(b.manifest.links.v[0].environment_name, "worker+"));
	static const char *const bad[] = {"a: [",
	                                  "x",
	                                  "EnvironmentName: a",
	                                  "AWSConfigurationTemplateVersion: 2",
	                                  "AWSConfigurationTemplateVersion: 1.1.0.0\nNonsense: 1",
	                                  "AWSConfigurationTemplateVersion: 1.1.0.0\nOptionSettings: [a]",
	                                  "AWSConfigurationTemplateVersion: 1.1.0.0\nEnvironmentTier: Worker",
	                                  "AWSConfigurationTemplateVersion: 1.1.0.0\nTags: a",
	                                  "AWSConfigurationTemplateVersion: 1.1.0.0\nEnvironmentLinks: {a: [b]}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct bundle other = {0};
		bundle_take_manifest(&a, &other, str_from(bad[i]), S("v1"));
		if (!str_starts(other.wrong, S("The environment manifest env.yaml in application version v1 is invalid: ")))
			fail_msg("%s was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(takes_options), cmocka_unit_test(judges_files),
	                                   cmocka_unit_test(takes_manifest)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
