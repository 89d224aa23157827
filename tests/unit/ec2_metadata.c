/* The instance metadata service's tree, listings and tokens. */
#include "unit.h"

#include "aws/ec2/metadata/metadata.h"

static struct str_map_entry tag_entries[] = {{S_INIT("Name"), S_INIT("web 1")}, {S_INIT("tier"), S_INIT("front")}};
static struct str_map tags = {.v = tag_entries, .n = 2};
static struct str groups[] = {S_INIT("default"), S_INIT("web")}, group_ids[] = {S_INIT("sg-1"), S_INIT("sg-2")},
                  cidrs[] = {S_INIT("172.31.0.0/16")}, address6 = S_INIT("fd9a:1:2:300::a");

static struct metadata_view view(void)
{
	static const struct metadata_address addresses[] = {{S_INIT("172.31.0.5"), S_INIT("127.1.2.3")},
	                                                    {S_INIT("172.31.0.9"), {0}}};
	static const struct metadata_device devices[] = {
	        {.name = S_INIT("ami"), .device = S_INIT("/dev/sda1")},
	        {.name = S_INIT("ebs1"), .device = S_INIT("/dev/sdf"), .volume = S_INIT("vol-1")},
	        {.name = S_INIT("root"), .device = S_INIT("/dev/sda1")}};
	static struct metadata_interface interface;
	interface = (struct metadata_interface){.id = S("eni-1"),
	                                        .mac = S("02:00:00:00:00:01"),
	                                        .subnet_id = S("subnet-1"),
	                                        .vpc_id = S("vpc-1"),
	                                        .subnet_cidr = S("172.31.0.0/20"),
	                                        .ipv6s = {.v = &address6, .n = 1, .set = true},
	                                        .vpc_cidrs = {.v = cidrs, .n = 1},
	                                        .addresses = addresses,
	                                        .address_count = 2,
	                                        .group_ids = {.v = group_ids, .n = 2},
	                                        .group_names = {.v = groups, .n = 2}};
	return (struct metadata_view){.instance_id = S("i-0123456789abcdef0"),
	                              .image_id = S("ami-1"),
	                              .type = S("t3.micro"),
	                              .reservation_id = S("r-1"),
	                              .account = S("123456789012"),
	                              .region = S("us-east-1"),
	                              .zone = S("us-east-1a"),
	                              .zone_id = S("use1-az1"),
	                              .architecture = S("x86_64"),
	                              .pending_ms = 1714564800123,
	                              .host_name = S("ip-172-31-0-5.ec2.internal"),
	                              .interfaces = &interface,
	                              .interface_count = 1,
	                              .devices = devices,
	                              .device_count = 3};
}

#define assert_text(v, path, want) assert_str(metadata_text(&a, (v), S(path)), want)
#define assert_absent(v, path) assert_false(str_set(metadata_text(&a, (v), S(path))))

static void leaves(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct metadata_view v = view();
	assert_text(&v, "/latest/meta-data/instance-id", "i-0123456789abcdef0");
	assert_text(&v, "/latest/meta-data/instance-id/", "i-0123456789abcdef0");
	assert_text(&v, "/2009-04-04/meta-data/ami-launch-index", "0");
	assert_text(&v, "/latest/meta-data/local-ipv4", "172.31.0.5");
	assert_text(&v, "/latest/meta-data/public-ipv4", "127.1.2.3");
	assert_text(&v, "/latest/meta-data/public-hostname", "ec2-127-1-2-3.compute-1.amazonaws.com");
	assert_text(&v, "/latest/meta-data/security-groups", "default\nweb");
	assert_text(&v, "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/local-ipv4s", "172.31.0.5\n172.31.0.9");
	assert_text(&v, "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/ipv6s", "fd9a:1:2:300::a");
	assert_text(&v, "/latest/meta-data/ipv6", "fd9a:1:2:300::a");
	assert_text(&v, "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/ipv4-associations/127.1.2.3", "172.31.0.5");
	assert_text(&v, "/latest/meta-data/placement/region", "us-east-1");
	assert_text(&v, "/latest/meta-data/block-device-mapping/ebs1", "/dev/sdf");
	assert_text(&v, "/latest/dynamic/quartet/volumes/vol-1", "/dev/sdf");
	assert_text(&v, "/latest/meta-data/instance-life-cycle", "on-demand");
	assert_text(&v, "/latest/meta-data/metrics/", "vhostmd");
	assert_text(&v, "/latest/dynamic/fws/instance-monitoring", "disabled");
	assert_absent(&v, "/latest/meta-data/autoscaling/target-lifecycle-state");
	v.monitored = true;
	v.target_state = S("InService");
	assert_text(&v, "/latest/dynamic/fws/instance-monitoring", "enabled");
	assert_text(&v, "/latest/meta-data/autoscaling/target-lifecycle-state", "InService");
	static const char *const absent[] = {"/latest/user-data",
	                                     "/latest/meta-data/public-keys/",
	                                     "/latest/meta-data/iam/info",
	                                     "/latest/meta-data/tags/instance/Name",
	                                     "/1999-01-01/meta-data/",
	                                     "/latest/meta-data/instance",
	                                     "latest",
	                                     "/latest/meta-data/instance-id/x",
	                                     "/latest/x/"};
	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		if (str_set(metadata_text(&a, &v, str_from(absent[i]))))
			fail_msg("%s is there", absent[i]);
}

static void spot_and_groups(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct metadata_view v = view();
	assert_false(str_set(metadata_text(&a, &v, S("/latest/meta-data/spot/instance-action"))));
	assert_false(str_set(metadata_text(&a, &v, S("/latest/meta-data/placement/group-name"))));
	v.spot = true;
	v.interrupt_ms = 1704110520000;
	v.group_name = S("parts");
	v.partition = 2;
	assert_text(&v, "/latest/meta-data/instance-life-cycle", "spot");
	assert_text(&v, "/latest/meta-data/spot", "instance-action\ntermination-time");
	assert_text(&v, "/latest/meta-data/spot/instance-action",
	            "{\"action\": \"terminate\", \"time\": \"2024-01-01T12:02:00Z\"}");
	assert_text(&v, "/latest/meta-data/spot/termination-time", "2024-01-01T12:02:00Z");
	assert_text(&v, "/latest/meta-data/placement/group-name", "parts");
	assert_text(&v, "/latest/meta-data/placement/partition-number", "2");
}

static void listings(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct metadata_view v = view();
	assert_text(&v, "/latest", "dynamic\nmeta-data");
	v.user_data = S("#!/bin/sh\n");
	assert_text(&v, "/latest/", "dynamic\nmeta-data\nuser-data");
	assert_text(&v, "/latest/user-data", "#!/bin/sh\n");
	assert_text(&v, "/latest/meta-data/placement", "availability-zone\navailability-zone-id\nregion");
	assert_text(&v, "/latest/meta-data/network/interfaces/", "macs/");
	assert_text(&v, "/latest/meta-data/network/interfaces/macs/", "02:00:00:00:00:01/");
	assert_true(str_ends(metadata_text(&a, &v, S("/")), S("\nlatest")));
	assert_true(str_starts(metadata_text(&a, &v, S("/latest/meta-data/")), S("ami-id\nami-launch-index\n")));
	v.public_key = S("ssh-rsa AAAA");
	v.key_name = S("mine");
	assert_text(&v, "/latest/meta-data/public-keys/", "0=mine");
	assert_text(&v, "/latest/meta-data/public-keys/0/", "openssh-key");
	assert_text(&v, "/latest/meta-data/public-keys/0/openssh-key", "ssh-rsa AAAA mine\n");
	v.tags = &tags;
	assert_absent(&v, "/latest/meta-data/tags/");
	v.tags_shown = true;
	assert_text(&v, "/latest/meta-data/tags/instance", "Name\ntier");
	assert_text(&v, "/latest/meta-data/tags/instance/Name", "web 1");
}

static void roles(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct metadata_view v = view();
	v.profile_arn = S("arn:aws:iam::123456789012:instance-profile/p");
	v.profile_id = S("AIPA1");
	v.role_name = S("worker");
	v.credentials = METADATA_ROLE;
	v.access_key = S("ASIA1");
	v.secret = S("s");
	v.token = S("t");
	v.issued_ms = 1714564800000;
	v.expires_ms = 1714586400000;
	assert_text(&v, "/latest/meta-data/iam/security-credentials/", "worker");
	assert_text(&v, "/latest/meta-data/iam/security-credentials/worker",
	            "{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2024-05-01T12:00:00Z\",\n  \"Type\" : \"AWS-HMAC\",\n"
	            "  \"AccessKeyId\" : \"ASIA1\",\n  \"SecretAccessKey\" : \"s\",\n  \"Token\" : \"t\",\n"
	            "  \"Expiration\" : \"2024-05-01T18:00:00Z\"\n}");
	v.credentials = METADATA_ROLE_FAILED;
	assert_true(str_find(metadata_text(&a, &v, S("/latest/meta-data/iam/security-credentials/worker")),
	                     S("AssumeRoleUnauthorized")) > 0);
	assert_true(metadata_wants_credentials(S("/latest/meta-data/iam/security-credentials/worker")));
	assert_false(metadata_wants_credentials(S("/latest/meta-data/ami-id")));
	assert_true(str_find(metadata_identity_document(&a, &v), S("\"pendingTime\" : \"2024-05-01T12:00:00Z\"")) > 0);
	assert_absent(&v, "/latest/dynamic/instance-identity/pkcs7");
}

static void tokens(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	unsigned char key[METADATA_KEY_BYTES] = {1}, other[METADATA_KEY_BYTES] = {2};
	struct str t = metadata_token_make(&a, key, S("i-1"), 5000);
	assert_int_equal(t.n, 56);
	assert_true(metadata_token_good(&a, key, S("i-1"), t, 4999));
	assert_false(metadata_token_good(&a, key, S("i-1"), t, 5000));
	assert_false(metadata_token_good(&a, key, S("i-2"), t, 4999));
	assert_false(metadata_token_good(&a, other, S("i-1"), t, 4999));
	assert_false(metadata_token_good(&a, key, S("i-1"), S(""), 4999));
	char *longer = arena_dupz(&a, t);
	longer[3] = longer[3] == 'A' ? 'B' : 'A';
	assert_false(metadata_token_good(&a, key, S("i-1"), str_of(longer, t.n), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(leaves), cmocka_unit_test(spot_and_groups), cmocka_unit_test(listings),
	                                   cmocka_unit_test(roles), cmocka_unit_test(tokens)};
	return cmocka_run_group_tests_name("ec2 metadata", tests, NULL, NULL);
}
