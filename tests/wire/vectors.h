/* The suites of protocol vectors (vectors/), each with the tables of its own small model. */
#pragma once
#include "model/model.h"

struct vector_suite {
	const char *file; /* "input/ec2.json" */
	size_t index;     /* of the suite in that file */
	const struct api *api;
};
extern const struct vector_suite vector_suites[]; /* ends with a NULL file */
