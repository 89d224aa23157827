/* Public parameters: the names under which people's templates look for images. The one image that this cloud brings is Debian 12;
 * the names of Amazon Linux lead to it as well, and its own name (debian-12-...) says what it is. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"

#define AMAZON_LINUX "/aws/service/ami-amazon-linux-latest/"
/* In the order of bytes. */
static const char *const names[] = {
        AMAZON_LINUX "al2023-ami-kernel-6.1-x86_64",
        AMAZON_LINUX "al2023-ami-kernel-default-x86_64",
        AMAZON_LINUX "al2023-ami-minimal-kernel-6.1-x86_64",
        AMAZON_LINUX "al2023-ami-minimal-kernel-default-x86_64",
        AMAZON_LINUX "amzn-ami-hvm-x86_64-gp2",
        AMAZON_LINUX "amzn2-ami-hvm-x86_64-ebs",
        AMAZON_LINUX "amzn2-ami-hvm-x86_64-gp2",
        AMAZON_LINUX "amzn2-ami-kernel-5.10-hvm-x86_64-gp2",
        "/aws/service/debian/release/12/latest/amd64",
        "/aws/service/debian/release/bookworm/latest/amd64",
        NULL,
};

struct str ssm_public_name(unsigned i)
{
	return names[i] ? str_from(names[i]) : STR_NONE;
}

bool ssm_public_find(struct call *c, struct str name, struct state_ssm_parameter_record *ret)
{
	struct ec2_default_image image;
	unsigned i = 0;
	int64_t made = 0;
	while (names[i] && !str_is(name, names[i]))
		i++;
	if (!names[i] || !ec2_find_default_image(c, &image))
		return false;
	time_parse(image.created, &made);
	struct state_ssm_version_record *v = arena_new(c->arena, struct state_ssm_version_record);
	*v = (struct state_ssm_version_record){.version = OPT_INT(1),
	                                       .type = S("String"),
	                                       .value = image.id,
	                                       .tier = S("Standard"),
	                                       .data_type = S("text"),
	                                       .description = image.name,
	                                       .modified = OPT_TIME(made)};
	*ret = (struct state_ssm_parameter_record){.name = str_from(names[i]), .latest = v, .oldest = OPT_INT(1)};
	return true;
}
