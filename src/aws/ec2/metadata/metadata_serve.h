/* The instance metadata service on the sockets that networks open at 169.254.169.254 in every VPC: HTTP around metadata.h. The
 * peer's address says which instance asks. Called by the EC2 service, which finds instances by address. */
#pragma once
#include "aws/ec2/metadata/identity.h"
#include "aws/ec2/metadata/metadata.h"
#include "aws/ec2/metadata/role.h"
#include "core/listen.h"

#include <sys/socket.h>

struct metadata_options {
	bool disabled, token_required;
	bool ipv6;           /* served over IPv6 too */
	int hop_limit;       /* how far a token may travel; 0: as far as anything */
	struct str role_arn; /* absent: none */
};
struct metadata_source {
	/* Which instance has this private address, of either family, in that VPC? All in the arena. False: none. */
	bool (*find)(void *ctx, struct arena *a, struct str vpc_id, const struct sockaddr_storage *peer,
	             struct metadata_view *ret_view, struct metadata_options *ret_options);
	/* Somebody in the instance asks without a token, and is refused where it has to have one. NULL: nobody wants to know. */
	void (*tokenless)(void *ctx, struct str instance_id, bool refused);
	void *ctx;
};

struct metadata_server;
/* roles and identity outlive it; identity NULL: identity documents are unsigned, that is, not there. */
struct metadata_server *metadata_server_new(struct cloud *cloud, const unsigned char key[METADATA_KEY_BYTES],
                                            const struct metadata_source *source, struct roles *roles,
                                            const struct identity *identity);
void metadata_server_free(struct metadata_server *s);
/* Serves a VPC's socket of a family in place of the one of before; owns fd. */
void metadata_serve(struct metadata_server *s, struct str vpc_id, bool ipv6, int fd);
void metadata_leave(struct metadata_server *s, struct str vpc_id);
