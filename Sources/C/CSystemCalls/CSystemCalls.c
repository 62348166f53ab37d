#define _GNU_SOURCE
#include "CSystemCalls.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/syscall.h>
#endif

/* Repeats a call while signals interrupt it; the value or -errno. */
#define REPEATED(type, call)                              \
  do {                                                    \
    type result_;                                         \
    do result_ = (call);                                  \
    while (result_ < 0 && errno == EINTR);                \
    return result_ < 0 ? -(type)errno : result_;          \
  } while (0)

int32_t drydock_open(const char *path, drydock_open_mode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
  case DRYDOCK_READ: flags |= O_RDONLY | O_NONBLOCK; break; /* a FIFO must not hang us before we see its kind */
  case DRYDOCK_CREATE: flags |= O_RDWR | O_CREAT | O_EXCL; break;
  case DRYDOCK_OPEN_DIRECTORY: flags |= O_RDONLY | O_DIRECTORY; break;
  }
  REPEATED(int32_t, open(path, flags, 0666));
}

/* Not repeated: after EINTR the descriptor is gone already. */
int32_t drydock_close(int32_t file) { return close(file) < 0 && errno != EINTR ? -errno : 0; }

static void describe(const struct stat *from, drydock_status *to) {
  to->byte_count = from->st_size;
  to->allocated_byte_count = (int64_t)from->st_blocks * 512;
  to->device = (uint64_t)from->st_dev;
  to->inode = (uint64_t)from->st_ino;
  to->kind = S_ISREG(from->st_mode)   ? DRYDOCK_REGULAR
             : S_ISDIR(from->st_mode) ? DRYDOCK_DIRECTORY
             : S_ISLNK(from->st_mode) ? DRYDOCK_SYMBOLIC_LINK
                                      : DRYDOCK_OTHER;
}
int32_t drydock_status_at(const char *path, int32_t follow, drydock_status *status) {
  struct stat found;
  if ((follow ? stat(path, &found) : lstat(path, &found)) < 0) return -errno;
  describe(&found, status);
  return 0;
}
int32_t drydock_status_of(int32_t file, drydock_status *status) {
  struct stat found;
  if (fstat(file, &found) < 0) return -errno;
  describe(&found, status);
  return 0;
}

int64_t drydock_read_at(int32_t file, void *bytes, size_t count, int64_t offset) {
  REPEATED(int64_t, pread(file, bytes, count, offset));
}
int64_t drydock_write_at(int32_t file, const void *bytes, size_t count, int64_t offset) {
  REPEATED(int64_t, pwrite(file, bytes, count, offset));
}
int64_t drydock_copy_range(int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, size_t count) {
#ifdef __linux__
  off_t in = from_offset, out = to_offset;
  REPEATED(int64_t, copy_file_range(from, &in, to, &out, count, 0));
#else
  return -ENOSYS;
#endif
}
int32_t drydock_clone_range(int32_t from, int64_t from_offset, int32_t to, int64_t to_offset, int64_t count) {
#ifdef __linux__
  struct file_clone_range range = {from, (uint64_t)from_offset, (uint64_t)count, (uint64_t)to_offset};
  REPEATED(int32_t, ioctl(to, FICLONERANGE, &range));
#else
  return -ENOSYS;
#endif
}
int32_t drydock_set_size(int32_t file, int64_t byte_count) { REPEATED(int32_t, ftruncate(file, byte_count)); }
int32_t drydock_sync(int32_t file) { REPEATED(int32_t, fsync(file)); }
void drydock_start_writing(int32_t file, int64_t offset, int64_t count) {
#ifdef __linux__
  (void)sync_file_range(file, offset, count, SYNC_FILE_RANGE_WRITE);
#endif
}

int32_t drydock_may_make_in(const char *path) { return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0; }
int32_t drydock_make_directory(const char *path) { return mkdir(path, 0777) < 0 ? -errno : 0; }
int32_t drydock_make_private_directory(const char *path) { return mkdir(path, 0700) < 0 ? -errno : 0; }
int32_t drydock_touch(const char *path) { return utimensat(AT_FDCWD, path, NULL, 0) < 0 ? -errno : 0; }
int64_t drydock_free_space(const char *path) {
  struct statvfs found;
  if (statvfs(path, &found) < 0) return -errno;
  return (int64_t)found.f_bavail * (int64_t)found.f_frsize;
}
int32_t drydock_copy_permissions(const char *from, const char *to) {
  struct stat old, new;
  if (lstat(from, &old) < 0 || lstat(to, &new) < 0) return -errno;
  if (S_ISLNK(new.st_mode) || S_ISLNK(old.st_mode) || (old.st_ino == new.st_ino && old.st_dev == new.st_dev)) return 0;
  /* Only some may give files away; whoever may not keeps them, readable for no more people than before. */
  if (old.st_uid != new.st_uid || old.st_gid != new.st_gid) (void)!lchown(to, old.st_uid, old.st_gid);
  return chmod(to, old.st_mode & 07777) < 0 ? -errno : 0;
}
int32_t drydock_remove_file(const char *path) { return unlink(path) < 0 ? -errno : 0; }
int32_t drydock_remove_directory(const char *path) { return rmdir(path) < 0 ? -errno : 0; }
int32_t drydock_link(const char *existing, const char *path) {
  return linkat(AT_FDCWD, existing, AT_FDCWD, path, 0) < 0 ? -errno : 0;
}
int32_t drydock_rename(const char *from, const char *to) { return rename(from, to) < 0 ? -errno : 0; }
int32_t drydock_rename_new(const char *from, const char *to) {
#ifdef __linux__
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
#else
  return renamex_np(from, to, RENAME_EXCL) < 0 ? -errno : 0;
#endif
}
int32_t drydock_exchange(const char *one, const char *other) {
#ifdef __linux__
  return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) < 0 ? -errno : 0;
#else
  return renamex_np(one, other, RENAME_SWAP) < 0 ? -errno : 0;
#endif
}
int32_t drydock_lock_shared(int32_t file) { REPEATED(int32_t, flock(file, LOCK_SH)); }
int32_t drydock_lock(int32_t file, int32_t wait) { REPEATED(int32_t, flock(file, LOCK_EX | (wait ? 0 : LOCK_NB))); }

int32_t drydock_list(const char *path, char **names, size_t *byte_count) {
  DIR *directory = opendir(path);
  if (!directory) return -errno;
  char *block = NULL;
  size_t used = 0, room = 0;
  int failed = 0;
  for (;;) {
    errno = 0;
    struct dirent *entry = readdir(directory);
    if (!entry) {
      failed = errno;
      break;
    }
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    size_t length = strlen(entry->d_name) + 1;
    if (used + length > room) {
      room = (used + length) * 2;
      char *larger = realloc(block, room);
      if (!larger) {
        failed = ENOMEM;
        break;
      }
      block = larger;
    }
    memcpy(block + used, entry->d_name, length);
    used += length;
  }
  closedir(directory);
  if (failed) {
    free(block);
    return -failed;
  }
  *names = block;
  *byte_count = used;
  return 0;
}
int32_t drydock_resolve(const char *path, char **resolved) {
  *resolved = realpath(path, NULL);
  return *resolved ? 0 : -errno;
}

void drydock_free(char *block) { free(block); }

int32_t drydock_map(int32_t file, size_t byte_count, void **address) {
  void *mapped = mmap(NULL, byte_count, PROT_READ, MAP_PRIVATE, file, 0);
  if (mapped == MAP_FAILED) return -errno;
  *address = mapped;
  return 0;
}
int32_t drydock_unmap(void *address, size_t byte_count) { return munmap(address, byte_count) < 0 ? -errno : 0; }
