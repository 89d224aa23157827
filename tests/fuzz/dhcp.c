/* DHCP requests, which instances write as they like: an answer is whole, of one size, and always about the one lease. */
#include "engine/net/dhcp.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_lease lease = {.mac = {2, 0, 0, 0, 0, 1},
	                                        .address = 0x0a000104,
	                                        .router = 0x0a000101,
	                                        .dns = 0x0a000002,
	                                        .mask_bits = 24,
	                                        .mtu = 1500,
	                                        .host_name = "ip-10-0-1-4",
	                                        .domain = "ec2.internal"};
	uint8_t answer[DHCP_ANSWER_MAX];
	uint32_t to = 1;
	size_t n = dhcp_answer(data, size, &lease, answer, &to);
	if (!n) {
		assert(to == 1);
		return 0;
	}
	static const uint8_t nobody[4] = {0}, address[4] = {10, 0, 1, 4};
	assert(n >= 300 && n <= DHCP_ANSWER_MAX && answer[0] == 2 && memcmp(answer + 28, lease.mac, 6) == 0);
	assert(memcmp(answer + 16, nobody, 4) == 0 || memcmp(answer + 16, address, 4) == 0);
	assert(to == ~0u || to == lease.address);
	/* options end within it */
	size_t at = 240;
	while (answer[at] != 255) {
		at += 2u + answer[at + 1];
		assert(at < n);
	}
	return 0;
}
