/*
 * file.h - files that appear whole or not at all, and checksums.
 *
 * All reads, writes, fsyncs and renames of the library pass through here, so that a test can make
 * the n-th of them fail (mill_file_fail_at) or kill the process there.
 */
#ifndef MILL_BASE_FILE_H
#define MILL_BASE_FILE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mill_file mill_file;

/*
 * Writers are buffered.  file_create_atomic: the file gets its name at file_commit(), after
 * fsync of file and folder; closed without commit, the temporary is removed.
 * file_create: written in place (spools, streams).  path "-" is stdout, for file_create only.
 * file_open_append: for logs; each file_write is one write(2) when file_flush follows.
 */
mill_err file_create_atomic(mill_file **out, const char *path);
mill_err file_create(mill_file **out, const char *path);
mill_err file_open_append(mill_file **out, const char *path);
mill_err file_write(mill_file *f, const void *p, size_t n);
mill_err file_printf(mill_file *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
mill_err file_flush(mill_file *f);
/*
 * flush, fsync, rename, fsync folder.  On error nothing has changed under the name.  Where only the
 * last of them fails the new file is there, whole: that is MILL_OK with a warning, since a power
 * failure might still undo the rename.
 */
mill_err file_commit(mill_file *f);
/*
 * file_commit without its fsyncs, for many small files: whole under its name after a killed
 * process, but not after a power failure until file_sync_all() has returned.
 */
mill_err file_publish(mill_file *f);
mill_err file_sync_all(const char *path); /* everything on the file system that `path` lies on */
/* Writes over [at, at + n), which was written before: what is only known in the end. */
mill_err file_patch(mill_file *f, const void *p, size_t n, int64_t at);
/* Lets the system begin to write out what it holds of the file; does not wait. */
void file_start_writeback(mill_file *f);
int64_t file_tell(const mill_file *f);
/* NULL is allowed; never fails: whoever cares has called flush or commit. */
void file_close(mill_file *f);

/* Readers. */
mill_err file_open(mill_file **out, const char *path);            /* "-" is stdin */
mill_err file_read(mill_file *f, void *p, size_t n, size_t *got); /* got < n only at the end */
mill_err file_pread(mill_file *f, void *p, size_t n, int64_t at, size_t *got);
mill_err file_size(mill_file *f, int64_t *bytes); /* MILL_EIO for a pipe */
int file_fd(const mill_file *f);

/* A whole file in memory, with a NUL behind it; free with mill_free. */
mill_err file_read_all(char **out, size_t *len, const char *path);
mill_err file_write_all(const char *path, const void *p, size_t n); /* atomic */

/* Read-only mapping; unmap with file_unmap. */
mill_err file_map(const void **out, size_t *len, const char *path);
void file_unmap(const void *p, size_t len);

bool file_exists(const char *path);
int64_t file_free_bytes(const char *dir); /* of its disk, for this user; INT64_MAX: not known */
mill_err file_mkdir(const char *path);    /* with parents; fine if it exists */
/* Replaces what is there, atomically.  MILL_EINPUT: the file system has no such links. */
mill_err file_symlink(const char *target, const char *path);
mill_err file_rename(const char *from, const char *to); /* over what is there */
mill_err file_remove(const char *path);                 /* fine if it does not exist */
mill_err file_remove_tree(const char *path);
/*
 * Makes `path` if need be and locks it until *fd is closed, at the latest by the system when the
 * process ends.  MILL_EINPUT: another process has the lock.  Where a file system has no locks that
 * is a warning, and the file is open all the same.
 */
mill_err file_lock(int *fd, const char *path);
/* Sorted, no "." or ".."; one mill_free frees all. */
mill_err file_list(char ***names, int *n, const char *dir);

uint32_t mill_crc32c(uint32_t crc, const void *p, size_t n); /* Castagnoli; start with 0 */
/* Of `a` and behind it `n` bytes of which `b` is the checksum. */
uint32_t mill_crc32c_join(uint32_t a, uint32_t b, int64_t n);

/* What this process has spent in the system's write and fsync, its threads added up. */
int64_t file_busy_ns(void);

/* Fault injection: the n-th operation of `what` from now fails; 0 never.  With
 * TABMILL_FAULT="write:17:kill" in the environment the process kills itself with SIGKILL there
 * ("write:17:fail" fails it once). */
typedef enum { FILE_OP_READ, FILE_OP_WRITE, FILE_OP_FSYNC, FILE_OP_RENAME, FILE_N_OP } file_op;
void mill_file_fail_at(file_op what, int64_t n);

#endif
