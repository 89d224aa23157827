/* Route 53's face for other services: what VPCs' resolvers answer from hosted zones. */
#pragma once
#include "core/call.h"
#include "engine/dns/dns.h"

/* Where this machine's programs are answered, "127.0.0.1:4553"; NULL: nowhere, and *ret_why says why, "" where nobody wants it. */
const char *route53_responder(const struct cloud *cloud, const char **ret_why);
/* The length in labels of the private zone of this VPC that has the name; -1: none has. */
int route53_private_zone(const struct cloud *cloud, struct str vpc, const struct dns_query *q);
/* What a CNAME of this name in a public hosted zone leads to, with a dot at its end; in a. False: there is none. */
bool route53_public_cname(const struct cloud *cloud, struct arena *a, struct str name, struct str *ret);
/* What the hosted zones say: private ones of the VPC, then public ones. DNS_NOT_MINE: the name is in none of them. */
enum dns_said route53_answer(const struct cloud *cloud, struct str vpc, struct str region, uint32_t peer, const struct dns_query *q,
                             struct dns_writer *w);
