/* Lines of flow logs: the default format, fields of newer versions, and intervals in which there was nothing. */
#include "unit.h"

#include "aws/ec2/flow/flow_format.h"

#define IP4(a, b, c, d) \
	{ \
		{ \
			[10] = 0xff, 0xff, a, b, c, d \
		} \
	}

static const struct flow_place place = {
        .account = S_INIT("123456789012"),
        .region = S_INIT("us-east-1"),
        .vpc = S_INIT("vpc-1"),
        .subnet = S_INIT("subnet-1"),
        .zone_id = S_INIT("use1-az1"),
        .interface = S_INIT("eni-1"),
        .addresses = {IP4(10, 0, 1, 5), IP4(10, 0, 1, 6), {{0xfd, 1, [15] = 5}}, {{0xfd, 1, [15] = 6}}},
        .address_count = 4};
static const struct network_flow flow = {.from = IP4(10, 0, 1, 6),
                                         .to = IP4(198, 51, 100, 9),
                                         .from_port = 40000,
                                         .to_port = 443,
                                         .protocol = 6,
                                         .out = 1,
                                         .accepted = 1,
                                         .packets = 3,
                                         .bytes = 180};

static void says(const char *format, const struct network_flow *f, const char *status, const char *expected)
{
	struct arena CLEAN_ARENA a = {0};
	struct str line = flow_format_line(&a, str_from(format), &place, f, 100, 160, str_from(status));
	assert_string_equal(arena_dupz(&a, line), expected);
}

static void lines(void **state)
{
	(void)state;
	says(FLOW_FORMAT_DEFAULT, &flow, "OK", "2 123456789012 eni-1 10.0.1.6 198.51.100.9 40000 443 6 3 180 100 160 ACCEPT OK");
	says(FLOW_FORMAT_DEFAULT, NULL, "NODATA", "2 123456789012 eni-1 - - - - - - - 100 160 - NODATA");
	/* a record is of the version of its newest field; there is no instance */
	says("${version} ${instance-id} ${flow-direction} ${az-id} ${type}", &flow, "OK", "5 - egress use1-az1 IPv4");
	says("${vpc-id}  ${version}", &flow, "OK", "vpc-1 3");
	/* of what an interface forwards its own end has its own address */
	struct network_flow forwarded = flow;
	forwarded.from = network_ip4(0x0a000299);
	says("${srcaddr} ${pkt-srcaddr} ${dstaddr}", &forwarded, "OK", "10.0.1.5 10.0.2.153 198.51.100.9");
	forwarded.out = 0;
	says("${srcaddr} ${dstaddr} ${pkt-dstaddr} ${flow-direction}", &forwarded, "OK",
	     "10.0.2.153 10.0.1.5 198.51.100.9 ingress");
	struct network_flow six = flow;
	six.from = (struct network_ip){{0xfd, 1, [15] = 6}};
	six.to = (struct network_ip){{0x20, 1, 0x0d, 0xb8, [15] = 9}};
	says("${srcaddr} ${dstaddr} ${type}", &six, "OK", "fd01::6 2001:db8::9 IPv6");
	six.from.b[14] = 1;
	says("${srcaddr} ${pkt-srcaddr}", &six, "OK", "fd01::5 fd01::106");
}

static void formats(void **state)
{
	struct arena CLEAN_ARENA a = {0};
	struct str wrong;
	(void)state;
	assert_true(flow_format_good(S(FLOW_FORMAT_DEFAULT), &wrong));
	assert_true(flow_format_good(S("${type}"), &wrong));
	static const char *const bad[] = {
	        "", " ", "version", "${version", "${}", "${tcp-flags}", "${version} ${Version}", "${version},${type}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(flow_format_good(str_from(bad[i]), &wrong));
	assert_string_equal(arena_dupz(&a, flow_format_head(&a, S("${version}  ${vpc-id}"))), "version vpc-id");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(formats)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
