/* The Lambda Runtime API as a state table: which request a runtime may make when. runtime_api.c serves it; tests read it. */
#pragma once
#include "aws/lambda/environment.h"

enum runtime_request {
	RUNTIME_NEXT,
	RUNTIME_RESPONSE,
	RUNTIME_ERROR,
	RUNTIME_INIT_ERROR,
	RUNTIME_RESTORE_NEXT,
	RUNTIME_RESTORE_ERROR,
	RUNTIME_CREDENTIALS,
	RUNTIME_PING,
	RUNTIME_UNKNOWN
};
/* Reads method and path; the id of /invocation/{id}/... goes to *ret_id. */
enum runtime_request runtime_api_route(struct str method, struct str path, struct str *ret_id);
/* May it come in this state? Names of the states for the message otherwise. */
bool runtime_api_allows(enum environment_state state, enum runtime_request request, const char **ret_from, const char **ret_to);
/* Keeps "Category.Reason" as the platform counts it: (Runtime|Function).[A-Z][A-Za-z]+; anything else becomes <Category>.Unknown.
 */
struct str runtime_api_error_type(struct str given);
