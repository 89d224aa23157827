/* libarchive, loaded by the process that unpacks alone: it brings many libraries along that no other process of ours wants. */
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>

#define ARCHIVE_FUNCTIONS(f) \
	f(archive_read_new) f(archive_read_support_format_tar) f(archive_read_support_format_raw) \
	        f(archive_read_support_filter_gzip) f(archive_read_support_filter_zstd) f(archive_read_open) \
	                f(archive_read_next_header) f(archive_read_data) f(archive_read_data_block) f(archive_read_free) \
	                        f(archive_error_string) f(archive_entry_pathname) f(archive_entry_pathname_utf8) \
	                                f(archive_entry_hardlink) f(archive_entry_hardlink_utf8) f(archive_entry_symlink) \
	                                        f(archive_entry_symlink_utf8) f(archive_entry_filetype) f(archive_entry_perm) \
	                                                f(archive_entry_uid) f(archive_entry_gid) f(archive_entry_size) \
	                                                        f(archive_entry_mtime) f(archive_entry_mtime_nsec) \
	                                                                f(archive_entry_xattr_reset) f(archive_entry_xattr_next)

struct archive_lib {
#define ARCHIVE_MEMBER(name) __typeof__(&name) name;
	ARCHIVE_FUNCTIONS(ARCHIVE_MEMBER)
#undef ARCHIVE_MEMBER
};
extern struct archive_lib lib;
