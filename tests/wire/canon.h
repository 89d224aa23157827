/* Bodies in one spelling each, so that two that mean the same compare equal. */
#pragma once
#include "base/arena.h"

/* Each gives "!..." for what it cannot read. */
struct str canon_json(struct arena *a, struct str text);
struct str canon_xml(struct arena *a, struct str text);
struct str canon_cbor(struct arena *a, struct str bytes);
struct str canon_form(struct arena *a, struct str text);
