/* What the service itself reads of a source bundle, before there is an instance: the options of its .ebextensions and the
 * environment manifest. Everything else in it is the instance's matter (guest/beanstalk_extensions.py).
 *
 * bundle_read() and what it calls are pure and bounded, and run on worker threads; bundle_of() is what handlers ask. Results live
 * in the arena, or as long as the call. */
#pragma once
#include "base/yaml.h"
#include "rows.h"

enum {
	BUNDLE_FILES_MAX = 200,
	BUNDLE_FILE_BYTES_MAX = 256 << 10,
	BUNDLE_BYTES_MAX = 1 << 20,
	BUNDLE_OPTIONS_MAX = 1000,
	BUNDLE_LINKS_MAX = 20
};

/* env.yaml: what an environment is made with where the request does not say it. Names may end in "+": the group's comes there. */
struct manifest {
	bool there;
	struct str name, cname, stack, platform, tier_name, tier_type;
	struct elasticbeanstalk_tags tags;
	struct elasticbeanstalk_environment_links links; /* by name, to environments whose names may end in "+" too */
};

struct bundle {
	struct elasticbeanstalk_configuration_option_settings_list options;          /* of .ebextensions; the last file counts */
	struct elasticbeanstalk_configuration_option_settings_list manifest_options; /* go before them */
	struct manifest manifest;
	struct str_list skipped; /* warnings about files that are left out */
	struct str wrong;        /* why it cannot be deployed; absent: it can */
	bool is_zip;
	size_t bytes; /* taken so far */
};

/* Files are taken in the order of their names. What is no zip file has nothing to say: its platform knows what it is. */
void bundle_read(struct arena *a, struct str data, struct str label, struct bundle *ret);
/* One file of .ebextensions by its name there, after those of before. */
void bundle_take(struct arena *a, struct bundle *b, struct str name, struct str text, struct str label);
void bundle_take_manifest(struct arena *a, struct bundle *b, struct str text, struct str label);

/* The bundle of a version, read from S3 as whoever calls, once a call. CALL_WAIT and CALL_FAIL are the handler's to return; it must
 * not use c->state otherwise. */
int bundle_of(struct call *c, const struct elasticbeanstalk_application_version_description *v, const struct bundle **ret);
/* A saved configuration's file there, in the same way. *ret is NULL where there is none, or whoever calls may not read it. */
int bundle_saved(struct call *c, struct str application, struct str name, const struct elasticbeanstalk_s3_location *place,
                 const struct bundle **ret);
/* S3 has refused it with this code; returns CALL_FAIL. */
int bundle_missing(struct call *c, const struct elasticbeanstalk_s3_location *b, const char *code);
/* What it says of options, all together. */
void bundle_options(struct arena *a, const struct bundle *b, struct elasticbeanstalk_configuration_option_settings_list *to);
/* Why it cannot be deployed, in the words of events. False: it can. */
bool bundle_faults(struct call *c, const struct bundle *b, struct str_list *ret);
