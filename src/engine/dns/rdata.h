/* Values of records between the text that Route 53 takes and the wire. Pure; texts come from clients. */
#pragma once
#include "base/str.h"
#include "engine/dns/wire.h"

enum { DNS_RDATA_MAX = 4096 + 512 };

/* "MX" to DNS_MX; 0: none that can be recorded. */
uint16_t dns_type_named(struct str name);
const char *dns_type_name(uint16_t type); /* NULL: another */

/* A value, "10 mail.example.com" say. NULL, with its bytes; else what is wrong, as "ARRDATAIllegalIPv4Address (Value is not a valid
 * IPv4 address)". */
const char *dns_rdata_parse(uint16_t type, struct str value, uint8_t out[static DNS_RDATA_MAX], size_t *ret_n);

/* svcb.c: the parameters of SVCB and HTTPS records ("alpn=\"h2,h3\" port=8443"), behind priority and target. */
const char *dns_svcb_parse(struct str text, uint8_t *out, size_t max, size_t *ret_n);
