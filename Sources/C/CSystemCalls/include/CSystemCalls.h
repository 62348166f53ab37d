/* System calls that Drydock makes on files. No policy here: each function is one libc call, repeated when a
 * signal interrupts it, that returns the call's result or the negated errno. Swift reaches them through one door,
 * Files/SystemCalls.swift. They stay ordinary dynamic libc calls, so a preloaded library can watch or fail them. */
#ifndef DRYDOCK_SYSTEM_CALLS_H
#define DRYDOCK_SYSTEM_CALLS_H
#include <stddef.h>
#include <stdint.h>

typedef enum : int32_t {
  DRYDOCK_REGULAR = 1, DRYDOCK_DIRECTORY = 2, DRYDOCK_SYMBOLIC_LINK = 3, DRYDOCK_OTHER = 4
} drydock_kind;

typedef struct {
  int64_t byte_count, allocated_byte_count;
  uint64_t device, inode;
  drydock_kind kind;
} drydock_status;

typedef enum : int32_t {
  DRYDOCK_READ = 0,      /* existing file, read only */
  DRYDOCK_CREATE = 1,    /* new file, read and write; an existing one is an error */
  DRYDOCK_OPEN_DIRECTORY = 2
} drydock_open_mode;

int32_t drydock_open(const char *path, drydock_open_mode mode);
int32_t drydock_close(int32_t file);
/* `follow` 0 describes a symbolic link itself. */
int32_t drydock_status_at(const char *path, int32_t follow, drydock_status *status);
int32_t drydock_status_of(int32_t file, drydock_status *status);

int64_t drydock_read_at(int32_t file, void *bytes, size_t count, int64_t offset);
int64_t drydock_write_at(int32_t file, const void *bytes, size_t count, int64_t offset);
/* Inside the kernel; -ENOSYS, -EXDEV, -EINVAL or -EOPNOTSUPP where the file system cannot. */
int64_t drydock_copy_range(int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, size_t count);
/* Shares the blocks; -EOPNOTSUPP and kin where the file system cannot. Offsets and count in whole blocks. */
int32_t drydock_clone_range(int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, int64_t count);
int32_t drydock_set_size(int32_t file, int64_t byte_count);
int32_t drydock_sync(int32_t file);
/* Asks for a range to be written to the disk soon, and does not wait: less is left for drydock_sync. A hint. */
void drydock_start_writing(int32_t file, int64_t offset, int64_t count);

/* Whether something may be made in a directory; -EACCES, -EROFS and kin where not. */
int32_t drydock_may_make_in(const char *path);
int32_t drydock_make_directory(const char *path);
/* One that only its owner may look into. */
int32_t drydock_make_private_directory(const char *path);
/* Sets the times of last use and change to now. */
int32_t drydock_touch(const char *path);
/* Bytes that this user may still write where `path` lies. */
int64_t drydock_free_space(const char *path);
/* Gives `to` the mode and, where this process may, the owner and group of `from`; links are not followed. */
int32_t drydock_copy_permissions(const char *from, const char *to);
int32_t drydock_remove_file(const char *path);
int32_t drydock_remove_directory(const char *path);
/* A symbolic link is linked itself, not what it points to. */
int32_t drydock_link(const char *existing, const char *path);
/* Fails with -EEXIST where `to` exists, and with -EINVAL where the file system lacks the check. */
int32_t drydock_rename_new(const char *from, const char *to);
int32_t drydock_rename(const char *from, const char *to);
/* Swaps two names in one step; -EINVAL where the file system cannot. */
int32_t drydock_exchange(const char *one, const char *other);
/* Exclusive lock that ends with the process; -EWOULDBLOCK when someone holds it and `wait` is 0. */
int32_t drydock_lock(int32_t file, int32_t wait);
/* A lock that many may hold at once, or one alone exclusively; waits. */
int32_t drydock_lock_shared(int32_t file);

/* Names of a directory's entries but `.` and `..`, each ended by NUL, in one block that the caller frees. */
int32_t drydock_list(const char *path, char **names, size_t *byte_count);
/* Absolute path with no symbolic link left, in a block that the caller frees. */
int32_t drydock_resolve(const char *path, char **resolved);
void drydock_free(char *block);

int32_t drydock_map(int32_t file, size_t byte_count, void **address);
int32_t drydock_unmap(void *address, size_t byte_count);

/* Processors that this process may run on, at least 1: what taskset and cpusets leave it. */
int drydock_processor_count(void);

#endif
