/* Lookups in the generated tables, what the generator makes of every trait, filling and copying of structs. */
#include "unit.h"

#include "gen/ec2.h"
#include "gen/lambda.h"
#include "gen/state_tiny.h"
#include "gen/tiny.h"

static const struct member *member_named(const struct api *api, const char *shape, const char *name)
{
	const struct shape *s = api_shape_named(api, str_from(shape));
	assert_non_null(s);
	for (uint16_t i = 0; i < s->members; i++)
		if (str_is(api_text(api, api->members[s->first_member + i].name), name))
			return &api->members[s->first_member + i];
	fail_msg("%s has no member %s", shape, name);
	return NULL;
}

static void finds_apis(void **state)
{
	(void)state;
	assert_ptr_equal(model_api(S("lambda")), &lambda_api);
	assert_null(model_api(S("lamb")));
	assert_null(model_api(S("tiny")));
	assert_string_equal(model_api(S("application_autoscaling"))->target_prefix, "AnyScaleFrontendService");
	/* Two APIs sign as dynamodb. */
	const struct api *first = model_api_by_signing_name(S("dynamodb"), NULL);
	const struct api *second = model_api_by_signing_name(S("dynamodb"), first);
	assert_string_equal(first->id, "dynamodb");
	assert_string_equal(second->id, "dynamodbstreams");
	assert_null(model_api_by_signing_name(S("dynamodb"), second));
	assert_null(model_api_by_signing_name(S("nobody"), NULL));
	assert_true(model_api(S("iam"))->global);
	assert_false(model_api(S("s3"))->global);
	for (const struct api *const *api = model_apis; api[0] && api[1]; api++)
		assert_true(strcmp(api[0]->id, api[1]->id) < 0);
}

/* What each client of a service that changed its protocol speaks. */
static void knows_protocols(void **state)
{
	(void)state;
	const struct api *sqs = model_api(S("sqs")), *cloudwatch = model_api(S("cloudwatch"));
	assert_int_equal(sqs->protocols, 1 << PROTOCOL_JSON10 | 1 << PROTOCOL_QUERY);
	assert_int_equal(sqs->protocol, PROTOCOL_JSON10);
	assert_true(sqs->query_compatible);
	assert_int_equal(cloudwatch->protocols, 1 << PROTOCOL_CBOR | 1 << PROTOCOL_JSON10 | 1 << PROTOCOL_QUERY);
	assert_int_equal(model_api(S("ecs"))->protocols, 1 << PROTOCOL_JSON11);
	/* The query names that the current sqs model has dropped. */
	const struct member *names = member_named(sqs, "ReceiveMessageRequest", "AttributeNames");
	assert_true(names->flags & MEMBER_FLATTENED);
	assert_str(api_text(sqs, names->wire_name), "AttributeName");
	const struct member *attributes = member_named(sqs, "CreateQueueRequest", "Attributes");
	assert_str(api_text(sqs, attributes->wire_name), "Attribute");
	assert_str(api_text(sqs, sqs->members[api_shape(sqs, attributes->shape)->first_member].wire_name), "Name");
	assert_str(api_text(sqs, api_operation(sqs, S("ReceiveMessage"))->result_wrapper), "ReceiveMessageResult");
	assert_string_equal(model_api(S("s3"))->xml_ns, "http://s3.amazonaws.com/doc/2006-03-01/");
}

static void finds_operations(void **state)
{
	(void)state;
	const struct operation *op = api_operation(&lambda_api, S("CreateFunction"));
	assert_non_null(op);
	assert_int_equal(api_operation_index(&lambda_api, op), LAMBDA_OP_CREATE_FUNCTION);
	assert_int_equal(op->status, 201);
	assert_int_equal(lambda_api.operation_count, LAMBDA_OPS);
	assert_null(api_operation(&lambda_api, S("createFunction")));
	assert_null(api_operation(&lambda_api, S("")));
	assert_null(api_operation(&lambda_api, S("ZZZ")));
	/* Every operation and every structure of every API is found under its own name. */
	for (const struct api *const *api = model_apis; *api; api++) {
		for (uint32_t i = 0; i < (*api)->operation_count; i++)
			assert_ptr_equal(api_operation(*api, api_text(*api, (*api)->operations[i].name)), &(*api)->operations[i]);
		for (uint32_t i = 0; i < (*api)->shape_count; i++)
			assert_ptr_equal(api_shape_named(*api, api_text(*api, (*api)->shapes[i].name)), &(*api)->shapes[i]);
	}
}

static void keeps_offsets_inside(void **state)
{
	(void)state;
	for (const struct api *const *at = model_apis; *at; at++) {
		const struct api *api = *at;
		for (uint32_t i = 0; i < api->shape_count; i++) {
			const struct shape *shape = &api->shapes[i];
			assert_true(shape->first_member + shape->members <= api->member_count);
			assert_true(shape->name < api->text_bytes && shape->pattern < api->text_bytes);
			for (uint16_t m = 0; m < shape->members; m++) {
				const struct member *member = &api->members[shape->first_member + m];
				assert_true(member->shape < api->shape_count);
				assert_true(member->offset < shape->size);
				assert_true(member->wire_name && member->wire_name < api->text_bytes);
			}
		}
		assert_int_equal(api->text[api->text_bytes - 1], 0);
	}
}

static void turns_traits_into_tables(void **state)
{
	(void)state;
	const struct api *api = &tiny_api;
	const struct operation *put = &api->operations[TINY_OP_PUT_THING];
	assert_str(api_text(api, put->name), "PutThing");
	assert_str(api_text(api, put->method), "PUT");
	assert_str(api_text(api, put->uri), "/things/{Name}?x");
	assert_str(api_text(api, put->host_prefix), "data-");
	assert_str(api_text(api, put->input_name), "Root");
	assert_str(api_text(api, put->input_ns), "http://tiny/in/");
	assert_str(api_text(api, put->checksum_member), "Default");
	assert_str(api_text(api, put->result_wrapper), "PutThingResult");
	assert_int_equal(put->flags, OPERATION_STREAM_IN | OPERATION_CHECKSUM_REQUIRED);
	assert_int_equal(put->status, 200);
	assert_int_equal(put->errors, 2);
	const struct operation *get = &api->operations[TINY_OP_GET_THINGS];
	assert_int_equal(get->status, 202);
	assert_str(api_text(api, get->result_wrapper), "Wrapped");
	assert_null(operation_input(api, get));
	assert_int_equal(operation_output(api, get)->kind, SHAPE_LIST);
	assert_int_equal(api->operations[TINY_OP_PING].flags, OPERATION_UNSIGNED);

	const struct shape *gone = api_shape(api, api->error_shapes[put->first_error]);
	assert_str(api_text(api, gone->name), "NotThere");
	assert_str(api_text(api, gone->error_code), "Tiny.NotThere");
	assert_int_equal(gone->http_status, 404);
	assert_int_equal(gone->flags, SHAPE_ERROR);
	const struct shape *broken = api_shape_named(api, S("Broken"));
	assert_int_equal(broken->flags, SHAPE_ERROR | SHAPE_FAULT);
	assert_int_equal(broken->http_status, 500);
	assert_str(api_text(api, broken->error_code), "");
	assert_null(api_shape_named(api, S("Unused")));
	assert_true(api_shape_named(api, S("Choice"))->flags & SHAPE_UNION);
	assert_int_equal(api_shape_named(api, S("Document"))->kind, SHAPE_DOCUMENT);
	assert_int_equal(api_shape_named(api, S("Ratio"))->min, 1);
	assert_int_equal(api_shape_named(api, S("Ratio"))->max, 99999);
	/* String and Text say the same. */
	assert_non_null(api_shape_named(api, S("String")));
	assert_null(api_shape_named(api, S("Text")));

	const struct shape *request = operation_input(api, put);
	assert_int_equal(request->payload - 1, member_named(api, "PutThingRequest", "Body") - &api->members[request->first_member]);
	assert_int_equal(member_named(api, "PutThingRequest", "Name")->location, IN_URI);
	assert_int_equal(member_named(api, "PutThingRequest", "Default")->location, IN_HEADER);
	assert_int_equal(member_named(api, "PutThingRequest", "Meta")->location, IN_HEADERS);
	assert_int_equal(member_named(api, "PutThingRequest", "Query")->location, IN_QUERY_MAP);
	assert_int_equal(member_named(api, "PutThingRequest", "ARNs")->location, IN_QUERY);
	assert_int_equal(member_named(api, "PutThingRequest", "Token")->flags, MEMBER_REQUIRED | MEMBER_TOKEN);
	assert_int_equal(member_named(api, "PutThingRequest", "Body")->flags, MEMBER_STREAMING);
	assert_int_equal(member_named(api, "Thing", "Attribute")->flags, MEMBER_XML_ATTRIBUTE);
	assert_int_equal(member_named(api, "Thing", "When")->time, MT_ISO8601);
	assert_int_equal(member_named(api, "Thing", "WhenElse")->time, MT_RFC822);
	const struct member *flat = member_named(api, "Thing", "Flat");
	assert_int_equal(flat->flags, MEMBER_FLATTENED);
	assert_str(api_text(api, flat->wire_name), "FlatThing");
	assert_str(api_text(api, member_named(api, "Thing", "FlatNames")->wire_name), "FlatName");
	assert_str(api_text(api, member_named(api, "Thing", "Children")->wire_name), "Children");
	const struct shape *things = api_shape_named(api, S("Things"));
	assert_str(api_text(api, api->members[things->first_member].wire_name), "item");
	assert_int_equal(things->size, sizeof(struct tiny_thing));
	assert_int_equal(member_named(&ec2_api, "RunInstancesRequest", "Ipv6AddressCount")->location, IN_BODY);
	assert_str(api_text(&ec2_api, member_named(&ec2_api, "InstanceNetworkInterfaceSpecification", "Ipv6Addresses")->ec2_name),
	           "Ipv6Addresses");
	assert_str(api_text(&ec2_api, member_named(&ec2_api, "RunInstancesRequest", "TagSpecifications")->ec2_name),
	           "TagSpecification");
}

/* Names that C does not allow or that fall together; imports are the very structs of the API. */
static void names_structs(void **state)
{
	(void)state;
	struct tiny_put_thing_request request = {
	        .default_ = S("d"), .linux_ = OPT_BOOL(true), .db_instance_id = S("1"), .db_instance_id_2 = S("2"), .arns = {0}};
	assert_int_equal(member_named(&tiny_api, "PutThingRequest", "DBInstanceID")->offset,
	                 (char *)&request.db_instance_id_2 - (char *)&request);
	struct arena a CLEAN_ARENA;
	arena_init(&a, 0);
	struct tiny_tag tag = {.key = S("k")};
	struct state_tiny_record record = {.id = S("i"), .tag = &tag};
	struct tiny_choice *choice = LIST_ADD(&a, &record.choices);
	assert_non_null(choice);
	assert_int_equal(state_tiny_api.operation_count, 0);
	assert_int_equal(api_shape_named(&state_tiny_api, S("Tag"))->size, sizeof(struct tiny_tag));
	assert_non_null(api_shape_named(&state_tiny_api, S("Record")));
}

static void adds_to_lists(void **state)
{
	(void)state;
	struct arena a CLEAN_ARENA;
	arena_init(&a, 0);
	struct tiny_things list = {0};
	for (int i = 0; i < 100; i++) {
		struct tiny_thing *thing = LIST_ADD(&a, &list);
		assert_false(str_set(thing->name));
		thing->name = arena_printf(&a, "n%d", i);
	}
	assert_int_equal(list.n, 100);
	assert_str(list.v[0].name, "n0");
	assert_str(list.v[64].name, "n64");
	struct str_map map = {0};
	*LIST_ADD(&a, &map) = (struct str_map_entry){S("a"), S("1")};
	assert_str(str_map_get(&map, S("a")), "1");
	assert_false(str_set(str_map_get(&map, S("b"))));
}

static void copies_deeply(void **state)
{
	(void)state;
	struct arena from CLEAN_ARENA, to CLEAN_ARENA;
	arena_init(&from, 0);
	arena_init(&to, 0);
	struct tiny_thing *thing = arena_new(&from, struct tiny_thing), *parent = arena_new(&from, struct tiny_thing);
	parent->name = arena_dup(&from, S("parent"));
	thing->parent = parent;
	thing->size = OPT_INT(7);
	thing->when = OPT_TIME(123);
	thing->choice = arena_new(&from, struct tiny_choice);
	thing->choice->left = arena_dup(&from, S("left"));
	for (int i = 0; i < 3; i++)
		LIST_ADD(&from, &thing->children)->name = arena_printf(&from, "child%d", i);
	struct tiny_list_map_entry *group = LIST_ADD(&from, &thing->groups);
	group->key = arena_dup(&from, S("group"));
	LIST_ADD(&from, &group->value)->name = arena_dup(&from, S("inner"));
	*LIST_ADD(&from, &thing->flat_names) = arena_dup(&from, S("flat"));
	thing->codes.set = true;

	struct tiny_thing copy;
	model_copy(&to, &tiny_api, api_shape_named(&tiny_api, S("Thing")), thing, &copy);
	/* Nothing of the copy may lie in the first arena. */
	memset(parent, 0xff, sizeof(*parent));
	memset(group->value.v, 0xff, sizeof(*group->value.v));
	memset(thing, 0xff, sizeof(*thing));
	arena_done(&from);
	assert_str(copy.parent->name, "parent");
	assert_null(copy.parent->parent);
	assert_int_equal(copy.size.v, 7);
	assert_int_equal(copy.when.ms, 123);
	assert_str(copy.choice->left, "left");
	assert_int_equal(copy.children.n, 3);
	assert_str(copy.children.v[2].name, "child2");
	assert_str(copy.groups.v[0].key, "group");
	assert_str(copy.groups.v[0].value.v[0].name, "inner");
	assert_str(copy.flat_names.v[0], "flat");
	assert_true(copy.codes.set && copy.codes.n == 0);
	assert_false(copy.by_name.set);
	assert_false(str_set(copy.name));
	/* A copied list can grow. */
	for (int i = 0; i < 30; i++)
		LIST_ADD(&to, &copy.children)->name = S("more");
	assert_str(copy.children.v[2].name, "child2");
	assert_str(copy.children.v[32].name, "more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(finds_apis),
	        cmocka_unit_test(knows_protocols),
	        cmocka_unit_test(finds_operations),
	        cmocka_unit_test(keeps_offsets_inside),
	        cmocka_unit_test(turns_traits_into_tables),
	        cmocka_unit_test(names_structs),
	        cmocka_unit_test(adds_to_lists),
	        cmocka_unit_test(copies_deeply),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
