/* Where compute begins and ends: the desk with its machines, and what networks hand on (taps of ports, listeners in VPCs). */
#include "aws/ec2/instance/sample.h"
#include "aws/ec2/metadata/metadata_find.h"
#include "aws/ec2/network/dns.h"
#include "aws/ec2/network/endpoint.h"
#include "aws/ec2/storage/image_default.h"
#include "aws/ec2/storage/import.h"
#include "base/log.h"
#include "engine/net/network.h"
#include "engine/vm/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct ec2_compute {
	struct roles *roles;
	struct identity *identity;
	struct metadata_server *metadata;
	struct ec2_names *names;
	struct dns *dns; /* NULL: nobody has one yet */
	struct sampler *sampler;
	struct map endpoints;    /* VPC -> struct listener: the cloud's own endpoint inside */
	struct ec2_doors *doors; /* endpoint.h: S3 behind gateway endpoints */
};

static void on_port(struct ec2_state *s, const char *interface, int fd)
{
	instances_port(s->desk, str_from(interface), fd);
}

/* At the first VPC that has a machine in it and not at the start: making a key takes longer than all of a start. */
static bool open_metadata(struct ec2_state *s)
{
	struct ec2_compute *c = s->compute;
	char dir[4096], shown[4096];
	unsigned char key[METADATA_KEY_BYTES];
	int error = 0;
	if (c->metadata)
		return true;
	snprintf(dir, sizeof(dir), "%s/ec2", s->cloud->data_dir);
	snprintf(shown, sizeof(shown), "%s/tls/instance-identity.pem", s->cloud->data_dir);
	c->identity = identity_open(dir, shown, &error);
	if (!c->identity) {
		log_error("ec2: no metadata service: %s: %s", dir, strerror(-error));
		return false;
	}
	identity_secret(c->identity, "metadata tokens", key);
	c->metadata = metadata_server_new(
	        s->cloud, key, &(struct metadata_source){.find = metadata_find, .tokenless = metadata_tokenless, .ctx = s->desk},
	        c->roles, c->identity);
	return true;
}

const struct identity *ec2_compute_identity(const struct ec2_state *s)
{
	return s->compute ? s->compute->identity : NULL;
}

/* A door is an interface that rules of resolvers ask others through. */
static bool open_door(void *ctx, const char *door, bool tcp, uint32_t tag)
{
	const struct ec2_state *s = ctx;
	return network_open_socket(s->networks, door, tcp ? NETWORK_SOCKET_TCP : NETWORK_SOCKET_UDP, tag);
}

static struct dns *resolver(struct ec2_state *s)
{
	struct ec2_compute *c = s->compute;
	if (!c->dns) {
		c->names = ec2_names_new(s->desk);
		const struct dns_answerer answerers[] = {{.ask = ec2_names_ask, .ctx = c->names}};
		c->dns = dns_new(s->cloud->loop, answerers, sizeof(answerers) / sizeof(*answerers), s->cloud->resolver,
		                 "/etc/resolv.conf");
		dns_open_with(c->dns, open_door, s);
	}
	return c->dns;
}

static void on_listener(struct ec2_state *s, const char *vpc, enum network_listener kind, int fd)
{
	struct ec2_compute *c = s->compute;
	if ((kind == NETWORK_METADATA || kind == NETWORK_METADATA6) && open_metadata(s)) {
		metadata_serve(c->metadata, str_from(vpc), kind == NETWORK_METADATA6, fd);
	} else if (kind == NETWORK_ENDPOINT) {
		listener_close(map_remove(&c->endpoints, str_from(vpc)));
		struct listener *l = listener_open_gate(s->cloud, fd);
		if (l)
			map_put(&c->endpoints, str_from(vpc), l);
	} else if (kind == NETWORK_DNS) {
		dns_serve_datagrams(resolver(s), vpc, fd);
	} else if (kind == NETWORK_DNS_TCP) {
		dns_serve_connections(resolver(s), vpc, fd);
	} else if (kind == NETWORK_SERVICE_HTTP || kind == NETWORK_SERVICE_TLS) {
		ec2_doors_open(c->doors, vpc, kind == NETWORK_SERVICE_TLS, fd);
	} else {
		close(fd);
	}
}

static void on_socket(struct ec2_state *s, const char *vpc, const char *interface, enum network_socket kind, uint32_t tag, int fd)
{
	struct ec2_compute *c = s->compute;
	if (tag) {
		dns_opened(resolver(s), tag, fd);
	} else if (fd >= 0) {
		struct dns *dns = resolver(s);
		ec2_names_open(c->names, interface, vpc);
		if (kind == NETWORK_SOCKET_DNS_TCP)
			dns_serve_connections(dns, interface, fd);
		else
			dns_serve_datagrams(dns, interface, fd);
	} else if (c->dns) {
		dns_leave(c->dns, interface);
		ec2_names_close(c->names, interface);
	}
}

void compute_vpc_gone(struct ec2_state *s, struct str vpc)
{
	struct ec2_compute *c = s->compute;
	if (!c)
		return;
	struct arena CLEAN_ARENA a = {0};
	if (c->metadata)
		metadata_leave(c->metadata, vpc);
	listener_close(map_remove(&c->endpoints, vpc));
	ec2_doors_close(c->doors, vpc);
	if (c->dns) {
		dns_leave(c->dns, arena_dupz(&a, vpc));
		ec2_names_forget(c->names, vpc);
	}
}

static void image_settled(void *ctx)
{
	desk_wake(ctx);
}

int compute_start(struct ec2_state *s)
{
	struct ec2_compute *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	s->compute = c;
	s->desk = desk_new(s);
	c->roles = roles_new(s->cloud);
	c->doors = ec2_doors_new(s->desk);
	s->on_port = on_port;
	s->on_listener = on_listener;
	s->on_socket = on_socket;
	instances_start(s->desk, s->cloud->cells);
	c->sampler = sampler_start(s->desk);
	s->image = default_image_new(s->cloud, s->desk->machines, image_settled, s->desk);
	s->imports = imports_new(s);
	return 0;
}

void compute_stop(struct ec2_state *s)
{
	struct ec2_compute *c = s->compute;
	size_t at = 0;
	struct str vpc;
	void *listener;
	if (!c)
		return;
	sampler_stop(c->sampler);
	imports_free(s->imports);
	s->imports = NULL;
	default_image_free(s->image);
	s->image = NULL;
	s->on_port = NULL;
	s->on_listener = NULL;
	s->on_socket = NULL;
	metadata_server_free(c->metadata);
	dns_free(c->dns);
	ec2_names_free(c->names);
	while (map_next(&c->endpoints, &at, &vpc, &listener))
		listener_close(listener);
	map_done(&c->endpoints);
	ec2_doors_free(c->doors);
	roles_free(c->roles);
	instances_stop(s->desk);
	desk_free(s->desk);
	identity_close(c->identity);
	free(c);
	s->desk = NULL;
	s->compute = NULL;
}
