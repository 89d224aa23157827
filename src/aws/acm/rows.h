/* Certificates of ACM: their records, keys, ARNs, and what replies show of them. Private to aws/acm.
 *
 * A certificate lies under ("acm", "certificate", account, region, id) with its details as DescribeCertificate has them, its PEM
 * and its sealed key; who uses it lies beside it, under ("acm", "use", account, region, id, ARN). */
#pragma once
#include "acm.h"
#include "core/record.h"
#include "core/service.h"
#include "gen/acm.h"
#include "gen/state_acm.h"

enum { ACM_CERTIFICATES_MAX = 2500, ACM_NAMES_MAX = 10, ACM_NAME_BYTES_MAX = 64, ACM_TAGS_MAX = 50 };

extern const struct service acm_service;
extern const struct record_type acm_certificate_row;

/* --- rows.c */
struct str acm_key(struct arena *a, struct str account, struct str region, struct str id);
struct str acm_under(struct arena *a, struct str account, struct str region);
/* False: no ARN of a certificate. */
bool acm_arn_parse(struct str arn, struct str *ret_account, struct str *ret_region, struct str *ret_id);
/* The certificate of the call's account and region, or ResourceNotFoundException. False: the error is set. */
bool acm_load(struct call *c, struct str arn, struct state_acm_certificate_record *ret);
bool acm_load_quietly(struct call *c, struct str arn, struct state_acm_certificate_record *ret);
void acm_save(struct call *c, const struct state_acm_certificate_record *r);
void acm_drop(struct call *c, struct str arn);
/* What a new one begins with: its ARN and when it was made. False: the quota is used up, and the error is set. */
bool acm_create(struct call *c, struct acm_certificate_detail *d);
/* ARNs of who uses it. */
struct str_list acm_users(struct store_txn *t, struct arena *a, struct str arn);
/* Puts body, chain, sealed key and what they say into the record. False: the key cannot be sealed. */
bool acm_fill(const struct cloud *cloud, struct arena *a, struct state_acm_certificate_record *r, const struct cert_bundle *pem);
/* Its status at this time: ISSUED becomes EXPIRED. */
struct str acm_status(const struct acm_certificate_detail *d, int64_t now_ms);
struct str acm_lower(struct arena *a, struct str text);
/* "RSA_2048" as replies spell it: "RSA-2048". */
struct str acm_algorithm_show(struct arena *a, struct str algorithm);
int acm_unsupported(struct call *c, const char *what);

/* --- tag.c */
/* May these be added to those? False: the error is set. */
bool acm_tags_put(struct call *c, const struct acm_tag_list *from, struct acm_tag_list *tags);
void acm_authz_tags(struct call *c, struct authz *az, const struct acm_tag_list *tags, bool requested);

/* --- validate.c: how the owner of a name shows that it is his */
/* Fills one option of a certificate for a name; method: "DNS" or "EMAIL". */
void acm_option_make(struct arena *a, struct str account, struct str domain, struct str validation_domain, struct str method,
                     struct acm_domain_validation *ret);
/* Is it shown? By its record in a public hosted zone of this cloud, or because the name is one that is issued at once. */
bool acm_option_holds(const struct cloud *cloud, struct arena *a, const struct acm_domain_validation *o);
#define ACM_AT_ONCE "localhost local internal test" /* names that nobody else can own, unless the configuration says others */

/* --- authority.c: this cloud's own authority for certificates that are requested. Any thread; takes its time. False: *ret_why. */
bool acm_authority_issue(struct arena *a, const char *data_dir, const struct cert_wish *w, struct cert_bundle *ret,
                         struct str *ret_why);

/* --- issuer.c: takes requested certificates from validation to their issue, and renews them */
struct acm_issuer;
struct acm_issuer *acm_issuer_new(struct cloud *cloud);
void acm_issuer_free(struct acm_issuer *i);

/* --- expiry.c: the metric DaysToExpiry */
struct acm_expiry;
struct acm_expiry *acm_expiry_new(struct cloud *cloud);
void acm_expiry_free(struct acm_expiry *e);

/* Handlers; each file says which. */
acm_add_tags_to_certificate_handler acm_add_tags_to_certificate;
acm_delete_certificate_handler acm_delete_certificate;
acm_describe_certificate_handler acm_describe_certificate;
acm_get_certificate_handler acm_get_certificate;
acm_import_certificate_handler acm_import_certificate;
acm_list_certificates_handler acm_list_certificates;
acm_list_tags_for_certificate_handler acm_list_tags_for_certificate;
acm_remove_tags_from_certificate_handler acm_remove_tags_from_certificate;
acm_renew_certificate_handler acm_renew_certificate;
acm_request_certificate_handler acm_request_certificate;
