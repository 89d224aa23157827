/* The kinds of things that EC2 has: how their ids look, where their records lie and what is said when one is not there.
 *
 * A record lies under ("ec2", account, region, prefix, id). It is EC2's own structure of the kind, or a structure of ours
 * (models/state/) whose first member points to that (`nested`). Its tags lie in it, so one transaction holds both. Records live in
 * the arena that they were read into. Private to aws/ec2. */
#pragma once
#include "core/call.h"
#include "core/record.h"
#include "gen/ec2.h"
#include "gen/state_vpc.h"

struct ec2_kind {
	const char *prefix;                /* "vpc": ids are vpc- and 17 hexadecimal digits */
	const char *type;                  /* in ARNs and tag specifications: "internet-gateway" */
	const char *noun;                  /* "vpc ID": The vpc ID 'vpc-x' does not exist */
	const char *absent;                /* instead, for kinds whose message is: NatGateway nat-x was not found */
	const char *not_found, *malformed; /* error codes */
	const char *ids;                   /* how a refusal names the list of ids: "vpcIds" */
	struct record_type row;
	size_t size;    /* of the record */
	size_t tags_at; /* in EC2's structure */
	bool nested;
	/* held.c: what it belongs to, and is found by; absent: nothing. NULL: things of this kind belong to nothing. */
	struct str (*holder)(const void *record);
};

extern const struct ec2_kind ec2_kind_vpc, ec2_kind_subnet, ec2_kind_group, ec2_kind_rule, ec2_kind_route_table, ec2_kind_gateway,
        ec2_kind_nat, ec2_kind_acl, ec2_kind_interface, ec2_kind_address, ec2_kind_dhcp, ec2_kind_prefix_list;
extern const struct ec2_kind ec2_kind_path, ec2_kind_analysis, ec2_kind_peering, ec2_kind_egress_gateway; /* kind_network.c */
extern const struct ec2_kind *const ec2_kinds[];      /* all of them, by prefix; ends with NULL */
const struct ec2_kind *ec2_kind_of_id(struct str id); /* NULL: the prefix is none */
const struct ec2_kind *ec2_kind_of_type(struct str type);

/* Whose resources, in which transaction: a call's, or a reconciler's. */
struct ec2_scope {
	struct store_txn *txn;
	struct arena *arena;
	struct str account, region;
};
struct ec2_scope ec2_scope(struct call *c);

struct str ec2_new_id(struct arena *a, const char *prefix);
/* prefix, a dash and 17 (or the old 8) hexadecimal digits? */
bool ec2_id_well_formed(struct str id, const char *prefix);
struct str ec2_arn(struct call *c, const struct ec2_kind *kind, struct str id);

struct str ec2_key(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id);
struct str ec2_keys_under(const struct ec2_scope *s, const struct ec2_kind *kind);
bool ec2_find(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, void *record);
void ec2_put(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record);
void ec2_drop(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id);
/* Walks all of a kind: struct ec2_all all = ec2_all(&scope, kind); while (ec2_next(&all, &record)) ... */
struct ec2_all {
	const struct ec2_kind *kind;
	struct arena *arena;
	struct store_iter *iter;
	struct str id; /* of the record that came last */
};
struct ec2_all ec2_all(const struct ec2_scope *s, const struct ec2_kind *kind);
bool ec2_next(struct ec2_all *all, void *record);
/* The same from the first id after this one (absent: from the first). */
struct ec2_all ec2_all_after(const struct ec2_scope *s, const struct ec2_kind *kind, struct str after);

/* held.c: what belongs to a holder, by id: struct ec2_held h = ec2_held(&scope, kind, instance); while (ec2_held_next(&h)) h.id ...
 */
struct ec2_held {
	struct arena *arena;
	struct store_iter *iter;
	struct str holder, id;
};
struct ec2_held ec2_held(const struct ec2_scope *s, const struct ec2_kind *kind, struct str holder);
/* Whatever belongs to somebody, in the order of holders, from the first one after `after` (absent: from the first). */
struct ec2_held ec2_held_all(const struct ec2_scope *s, const struct ec2_kind *kind, struct str after);
bool ec2_held_next(struct ec2_held *h);
/* Of ec2_put() and ec2_drop() alone, before the record changes. record NULL: it goes. */
void ec2_held_note(const struct ec2_scope *s, const struct ec2_kind *kind, struct str id, const void *record);
/* At the start, before anything of EC2 is read: makes the keys that records of an earlier build lack, in one transaction; the first
 * one without the waiting, and how many it wrote. 0 or negative errno. */
size_t ec2_held_complete(struct store_txn *t, struct arena *a);
int ec2_held_start(struct store *store, struct loop *loop);
struct str ec2_interface_holder(const void *record), ec2_volume_holder(const void *record), ec2_instance_holder(const void *record);

/* EC2's structure in a record; its tags. */
void *ec2_shape(const struct ec2_kind *kind, void *record);
struct ec2_tag_list *ec2_tags(const struct ec2_kind *kind, void *record);

/* For handlers: CALL_OK and the record, or CALL_FAIL with .Malformed, .NotFound or, for an absent id, MissingParameter. */
int ec2_get(struct call *c, const struct ec2_kind *kind, struct str id, void *record);
int ec2_malformed(struct call *c, const struct ec2_kind *kind, struct str id);
/* "The vpc IDs 'vpc-a, vpc-b' do not exist" */
int ec2_not_found(struct call *c, const struct ec2_kind *kind, const struct str_list *missing);
/* InvalidParameterValue; InvalidParameterCombination; MissingParameter in EC2's sentence; DependencyViolation. */
int ec2_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ec2_combination(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int ec2_missing(struct call *c, const char *parameter);
int ec2_depends(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
