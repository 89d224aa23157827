/* The running state of EC2 and what its files share. Private to aws/ec2. */
#pragma once
#include "aws/ec2/filter.h"
#include "aws/ec2/kind.h"
#include "aws/ec2/page.h"
#include "core/service.h"
#include "engine/net/network.h"

struct ec2_sync;
struct desk;
struct ec2_compute;
struct default_image;
struct imports;
struct flow_recorder;

struct ec2_state {
	struct cloud *cloud;
	struct networks *networks;
	struct ec2_sync *sync;       /* records -> networks */
	struct desk *desk;           /* records -> machines and disks; NULL: there are none */
	struct ec2_compute *compute; /* compute_start.c */
	struct default_image *image; /* image_default.h; NULL: none */
	struct imports *imports;     /* import.h */
	struct flow_recorder *flows; /* flow_log.h */
	struct transfers *transfers; /* transfer.h; NULL: nothing is counted */
	/* The instances' share of what comes from the networks; NULL: descriptors are closed. */
	void (*on_port)(struct ec2_state *s, const char *interface, int fd);
	void (*on_listener)(struct ec2_state *s, const char *vpc, enum network_listener kind, int fd);
	void (*on_socket)(struct ec2_state *s, const char *vpc, const char *interface, enum network_socket kind, uint32_t tag,
	                  int fd);
	struct {
		bool (*fn)(void *ctx, struct str interface, int fd);
		void *ctx;
	} lent_ports[6]; /* lend.c: who has interfaces */
	int64_t token_lease, token_lease_until_ms;
};
extern const struct service ec2_service;
struct ec2_state *ec2_state(const struct call *c);

/* lend.c: the interface has its link; true: it is another service's, and the descriptor too. */
bool ec2_port_is_lent(struct ec2_state *s, const char *interface, int fd);

/* nat.c: the network has the gateway's interface in place. */
void ec2_nat_in_place(struct ec2_state *s, const char *interface);

/* token.c: runs a handler; the same ClientToken with the same input gives the first result again. */
int ec2_run(struct call *c, call_handler *handle);

/* resource.c: what permissions are about, for every row. */
int ec2_resource(struct call *c, const void *in, struct authz *az);
/* May the caller do the operation with one more thing? False: the error is set. */
bool ec2_allowed(struct call *c, const struct ec2_kind *kind, struct str id);
/* A text member of the call's input, by name; absent when there is none such. */
struct str ec2_input_text(const struct call *c, const char *member);

/* tag.c: tags that are given at creation. CALL_OK with those for resources of this kind; refused are bad tags, types that are not
 * among `kinds` (a NULL-terminated list) and callers without ec2:CreateTags. */
int ec2_tags_take(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *const *kinds);
struct ec2_tag_list ec2_tags_for(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *kind);
/* Both at once, for operations that create one kind alone. */
int ec2_tags_at_creation(struct call *c, const struct ec2_tag_specification_list *specs, const struct ec2_kind *kind,
                         struct ec2_tag_list *ret);

/* zone.c */
enum { EC2_ZONES = 3 };
struct str ec2_zone_name(struct arena *a, struct str region, unsigned i); /* us-east-1a */
struct str ec2_zone_id(struct arena *a, struct str region, unsigned i);   /* use1-az1 */
/* The position of a zone by name or id; -1: the region has none such. */
int ec2_zone_find(struct arena *a, struct str region, struct str name_or_id);
/* InvalidParameterValue with the zones that there are. */
int ec2_zone_invalid(struct call *c, struct str zone);

/* default.c: makes the default VPC of the call's account and region, once, at the first call there. */
void ec2_make_default(struct call *c);
