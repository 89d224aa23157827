/* Key pairs and instance types of EC2. Fingerprints and forms are those that ssh-keygen and openssl gave for the same keys. */
#include "unit.h"

#include "aws/ec2/instance/instance_type.h"
#include "aws/ec2/instance/key_material.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

/* Made by ssh-keygen; the fingerprint is openssl pkey -pubin -outform DER | openssl md5 -c. */
static const char rsa_public[] =
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCLEhbaGCHZt6qx0DKpQ2jkv0NHdAWMxGyMoKmzKm30dFv2n+xCqkLIptqvpvvO"
        "A9JdduIyQAGJzDSIByPQLGboP6nPgUOIA5l07J4uTiX6s559wnXP7nPwMlyxLgTUwmS4raAWwxYdw2sUc/MX71KWlrc+iz/LOy/q"
        "QvrNGfhB8S/cL7zb8hZNb+vpJxy1l6hHJuCvmVvFEhyQjlAOLtPP3kT/0PaK5ZtPBPgZw/x5QcFuK5v7ZIKzd1/cb5aNLWYiZujN"
        "3jJfearRnrqM+oMVcL6IV6tcdaTSBaH8qIzxielbS6K8D4hVJHuWEFTRNodKrrVI61vruT+0/yTntIOv";
static const char ed25519_public[] =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICVTxc9QsoalT2Gx3KEmhgrlfVoQtrlYCxwszRSwI4LT somebody@somewhere";

static void imports(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct key_material k;
	assert_true(key_material_import(&a, str_from(rsa_public), &k));
	assert_int_equal(k.kind, KEY_RSA);
	assert_str(k.fingerprint, "e9:e8:0b:a7:1b:0a:9d:8c:45:15:46:63:9c:45:1b:ab");
	assert_true(str_eq(k.public_key, str_from(rsa_public)));
	assert_false(str_set(k.private_key));
	assert_true(key_material_import(&a, str_from(ed25519_public), &k));
	assert_int_equal(k.kind, KEY_ED25519);
	assert_str(k.fingerprint, "yOVtL1tb/ppmml0RWdxCVU8Fv/MspLzmKA1Ipns0oXs=");
	assert_str(k.public_key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICVTxc9QsoalT2Gx3KEmhgrlfVoQtrlYCxwszRSwI4LT");
	static const char *const bad[] = {"", "ssh-rsa", "ssh-rsa !!!!",
	                                  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==", "ssh-dss AAAAB3NzaC1kc3M="};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(key_material_import(&a, str_from(bad[i]), &k));
	/* The type in front is the one inside. */
	assert_false(key_material_import(&a, ARENA_CAT(&a, S("ssh-rsa"), str_from_at(str_from(ed25519_public), 11)), &k));
}

/* What was made is the public key of what was handed out. */
static void makes(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct key_material k, again;
	assert_true(key_material_make(&a, KEY_RSA, &k));
	assert_true(str_starts(k.private_key, S("-----BEGIN RSA PRIVATE KEY-----\n")));
	assert_int_equal(k.fingerprint.n, 59);
	assert_true(key_material_import(&a, k.public_key, &again));
	BIO *b = BIO_new_mem_buf(k.private_key.p, (int)k.private_key.n);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, NULL);
	assert_non_null(key);
	assert_int_equal(EVP_PKEY_get_bits(key), 2048);
	EVP_PKEY_free(key);
	BIO_free(b);
	assert_true(key_material_make(&a, KEY_ED25519, &k));
	assert_true(str_starts(k.private_key, S("-----BEGIN OPENSSH PRIVATE KEY-----\n")));
	assert_true(key_material_import(&a, k.public_key, &again));
	assert_true(str_eq(again.fingerprint, k.fingerprint));
}

static void types(void **state)
{
	(void)state;
	const struct instance_type *t = instance_type_find(S("t3.micro"));
	assert_non_null(t);
	assert_int_equal(t->vcpus, 2);
	assert_int_equal(t->memory_mib, 1024);
	assert_int_equal(t->micro_usd_h, 10400);
	assert_int_equal(instance_type_cpu_percent(t), 20);
	assert_int_equal(instance_type_cpu_percent(instance_type_find(S("m5.large"))), 200);
	assert_int_equal(instance_type_find(S("m5.large"))->addresses, 10);
	assert_null(instance_type_find(S("t3.micr")));
	assert_null(instance_type_find(S("")));
	assert_false(instance_type_offered(instance_type_find(S("m5.metal"))));
	assert_false(instance_type_offered(instance_type_find(S("g4dn.xlarge"))));
	for (unsigned i = 0; i < instance_type_count; i++)
		assert_ptr_equal(instance_type_find(str_from(instance_types[i].name)), &instance_types[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(imports), cmocka_unit_test(makes), cmocka_unit_test(types)};
	return cmocka_run_group_tests_name("ec2 keys", tests, NULL, NULL);
}
