/* Names between the text that Route 53 takes and gives and the wire. Pure; texts come from clients. */
#pragma once
#include "base/arena.h"
#include "engine/dns/wire.h"

/* "a\052B.example.com", with or without the dot at its end; \ooo is a byte, in octal. The size on the wire, with `fold` in lower
 * case; 0: it is none, and *ret_why says why, as "DomainLabelEmpty (Domain label is empty)". */
size_t dns_name_parse(struct str text, bool fold, uint8_t out[static DNS_NAME_MAX], const char **ret_why);
/* With a dot at its end; what is no letter, digit, hyphen or underscore as \ooo. */
struct str dns_name_text(struct arena *a, const uint8_t *wire);
/* Its labels from the last to the first: "com.example.a.", which orders names as listings do. A dot or a byte that is not printable
 * in a label stays \ooo. */
struct str dns_name_reversed(struct arena *a, const uint8_t *wire);
/* Back again. 0: it is none. */
size_t dns_name_unreversed(struct str text, uint8_t out[static DNS_NAME_MAX]);
/* The size of a whole name that lies here. */
size_t dns_name_size(const uint8_t *wire);
/* Is this name the other one, or below it? Both as read with `fold`. */
bool dns_name_within(const uint8_t *name, const uint8_t *zone);
