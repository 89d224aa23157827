/* DHCPv6 requests, which instances write as they like: an answer is whole and of one size, for the transaction that asked, and
 * gives no address but the lease's. */
#include "engine/net/dhcp6.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t number(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t addresses[2][16] = {{0xfd, 1, [15] = 4}, {0xfd, 1, [15] = 5}};
	uint8_t answer[DHCP6_ANSWER_MAX];
	for (size_t count = 0; count <= 2; count++) {
		const struct dhcp6_lease lease = {.server_mac = {2, 0, 0, 0, 0, 1}, .addresses = addresses, .address_count = count};
		size_t n = dhcp6_answer(data, size, &lease, answer);
		if (!n)
			continue;
		assert(size >= 4 && n >= 4 && n <= sizeof(answer));
		assert((answer[0] == 2 || answer[0] == 7) && memcmp(answer + 1, data + 1, 3) == 0);
		size_t at = 4;
		while (at + 4 <= n) {
			size_t code = number(answer + at), length = number(answer + at + 2);
			const uint8_t *value = answer + at + 4;
			at += 4 + length;
			assert(at <= n);
			for (size_t k = 12; code == 3 && k + 28 <= length && number(value + k) == 5; k += 28) {
				/* what is not the lease's is taken back: its lifetimes are 0 */
				static const uint8_t nothing[8] = {0};
				bool own = false;
				for (size_t i = 0; i < count; i++)
					own = own || memcmp(value + k + 4, addresses[i], 16) == 0;
				assert(own || memcmp(value + k + 20, nothing, 8) == 0);
			}
		}
		assert(at == n);
	}
	return 0;
}
