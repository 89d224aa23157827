/* The machine's own name servers, out of resolv.conf. IPv4 alone: the address of a server that has another is passed over. */
#include "engine/dns/internal.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 16 * 1024, FRESH_US = 5 * 1000 * 1000 };

/* "192.0.2.1", or "127.0.0.1:5353" where a port is not the usual one. */
static void add(struct dns *d, struct str address)
{
	char text[INET_ADDRSTRLEN];
	struct sockaddr_in a = {.sin_family = AF_INET};
	ptrdiff_t colon = str_find_char(address, ':');
	uint64_t port = 53;
	if (colon >= 0 && (!str_to_u64(str_from_at(address, (size_t)colon + 1), &port) || !port || port > UINT16_MAX))
		return;
	address = colon >= 0 ? str_sub(address, 0, (size_t)colon) : address;
	if (address.n >= sizeof(text) || d->server_count == DNS_SERVERS_MAX)
		return;
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	a.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, text, &a.sin_addr) == 1)
		d->servers[d->server_count++] = a;
}

static void add_line(struct dns *d, struct str line)
{
	if (str_starts(line, S("nameserver")) && line.n > 10 && ascii_is_space(line.p[10]))
		add(d, str_trim(str_from_at(line, 10)));
}

void dns_read_servers(struct dns *d)
{
	char text[FILE_BYTES];
	int64_t now = loop_now_us(d->loop);
	if (d->servers_read_us && now - d->servers_read_us < FRESH_US)
		return;
	d->servers_read_us = now ? now : 1;
	d->server_count = 0;
	if (d->server) {
		add(d, str_from(d->server));
		return;
	}
	int fd = open(d->servers_file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	struct str rest = str_of(text, n > 0 ? (size_t)n : 0);
	while (str_set(rest))
		add_line(d, str_trim(str_cut(&rest, '\n')));
	if (d->first_server >= d->server_count)
		d->first_server = 0;
}
