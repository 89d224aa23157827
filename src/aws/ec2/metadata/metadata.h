/* The instance metadata service as pure functions: what an instance looks like from inside, as a tree of texts, and the tokens of
 * version 2. metadata_serve.c puts them on sockets. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

struct metadata_address {
	struct str private, public; /* public absent: none */
};

struct metadata_interface {
	struct str id, mac, subnet_id, vpc_id, subnet_cidr;
	struct str_list vpc_cidrs, ipv6s, subnet_ipv6_cidrs, vpc_ipv6_cidrs;
	unsigned device_number;
	const struct metadata_address *addresses; /* the first is the primary one */
	size_t address_count;
	struct str_list group_ids, group_names;
};

struct metadata_device {
	struct str name, device; /* "root", "/dev/sda1" */
	struct str volume;       /* "vol-..."; absent: the same as another one's */
};

enum metadata_credentials { METADATA_NO_ROLE, METADATA_ROLE_FAILED, METADATA_ROLE };

/* What absent strs leave out of the tree. The first interface is the primary one. */
struct metadata_view {
	struct str instance_id, image_id, type, reservation_id, account, region, zone, zone_id, architecture;
	int64_t pending_ms; /* when it was launched */
	unsigned launch_index;
	struct str group_name;                       /* of the placement group */
	unsigned partition;                          /* 0: none */
	bool spot, monitored;                        /* monitored: in detail */
	struct str target_state;                     /* that its Auto Scaling group wants it in; absent: it is in none */
	struct str events_scheduled, events_history; /* event.h; absent: none */
	int64_t interrupt_ms;                        /* when a spot instance that has its notice is terminated; 0: it has none */
	int64_t recommended_ms;                      /* since when it is recommended to be replaced; 0: it is not */
	struct str host_name;                        /* "ip-172-31-0-5.ec2.internal" */
	struct str key_name, public_key;
	struct str user_data; /* raw */
	const struct metadata_interface *interfaces;
	size_t interface_count;
	const struct metadata_device *devices;
	size_t device_count;
	/* The instance profile. Credentials are filled in once they are there: see metadata_wants_credentials(). */
	enum metadata_credentials credentials;
	struct str profile_arn, profile_id, role_name;
	struct str access_key, secret, token;
	int64_t issued_ms, expires_ms;
	bool tags_shown;
	const struct str_map *tags;
	/* Of the identity document; see metadata_wants_identity(). */
	struct str identity_signature, identity_pkcs7, identity_rsa2048;
};

/* Does answering need what is costly: the role's credentials, the signed identity document? */
bool metadata_wants_credentials(struct str path);
bool metadata_wants_identity(struct str path);
struct str metadata_identity_document(struct arena *a, const struct metadata_view *v);
/* The text at a decoded path ("/latest/meta-data/instance-id"; with or without a final '/'), or a directory's listing. Absent: 404.
 */
struct str metadata_text(struct arena *a, const struct metadata_view *v, struct str path);
/* "ec2-127-1-2-3.compute-1.amazonaws.com" */
struct str metadata_public_name(struct arena *a, struct str region, struct str address);

/* Tokens say until when they hold and are bound to their instance by a key of this cloud; nothing is kept of them. */
enum { METADATA_TTL_MAX_S = 21600, METADATA_KEY_BYTES = 32 };
struct str metadata_token_make(struct arena *a, const unsigned char key[METADATA_KEY_BYTES], struct str instance_id,
                               int64_t expires_ms);
/* *ret_expires_ms: until when. False: expired, another instance's, or none at all. */
bool metadata_token_good(struct arena *a, const unsigned char key[METADATA_KEY_BYTES], struct str instance_id, struct str token,
                         int64_t now_ms);
