/* Runs a fuzz target over every file of its corpus, as an ordinary test: fuzz_<name> DIRECTORY...
 * The same targets are fuzzed for real when the build is set up with clang and -Dfuzz=true. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns false when the file cannot be read. */
static bool run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	if (!file || fstat(fileno(file), &st) < 0)
		return false;
	/* Exactly as large as the input, so that the sanitizer sees a step beyond it. */
	size_t size = (size_t)st.st_size;
	uint8_t *data = malloc(size ? size : 1);
	bool read = data && fread(data, 1, size, file) == size;
	if (read)
		LLVMFuzzerTestOneInput(data, size);
	free(data);
	fclose(file);
	return read;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;
		while (dir && (entry = readdir(dir))) {
			char path[4096];
			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
			if (!run_file(path)) {
				fprintf(stderr, "%s: cannot be read\n", path);
				return 1;
			}
			count++;
		}
		if (dir)
			closedir(dir);
	}
	printf("%u inputs\n", count);
	/* A corpus that is not found must not look like one that passes. */
	return count ? 0 : 1;
}
