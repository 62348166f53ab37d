/* Preloaded into a command to make its file calls fail, or to kill it at one of them.
 *
 * DRYDOCK_FAULT_KIND   kill: SIGKILL instead of call number AT (a write is half done first, so it is torn)
 *                      once: call number AT fails with ERRNO; from: so do all later ones; none: only count
 *                      short: write number AT writes half of its bytes and says so; pause: wait before call AT for UNTIL
 * DRYDOCK_FAULT_AT     counts from 1
 * DRYDOCK_FAULT_ERRNO  a number
 * DRYDOCK_FAULT_UNTIL  a file whose appearance ends a pause; a minute does, too
 * DRYDOCK_FAULT_CALLS  letters of the calls that are counted: w writes, s sync, n names made (create, mkdir, link),
 *                      m renames, u names removed, t truncation, r reads
 * DRYDOCK_FAULT_COUNT  a file of 8 bytes that holds the number of counted calls, shared so that it outlives a kill
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NONE, KILL, ONCE, FROM, SHORT, PAUSE };
static int kind, code;
static int64_t at;
static const char *calls = "";
static _Atomic int64_t own_count, *count = &own_count;

__attribute__((constructor)) static void start(void) {
  const char *name = getenv("DRYDOCK_FAULT_KIND"), *path = getenv("DRYDOCK_FAULT_COUNT");
  if (!name) return;
  kind = !strcmp(name, "kill") ? KILL : !strcmp(name, "once") ? ONCE : !strcmp(name, "from") ? FROM : !strcmp(name, "short") ? SHORT : !strcmp(name, "pause") ? PAUSE : NONE;
  if (getenv("DRYDOCK_FAULT_AT")) at = atoll(getenv("DRYDOCK_FAULT_AT"));
  if (getenv("DRYDOCK_FAULT_ERRNO")) code = atoi(getenv("DRYDOCK_FAULT_ERRNO"));
  if (getenv("DRYDOCK_FAULT_CALLS")) calls = getenv("DRYDOCK_FAULT_CALLS");
  if (path) {
    int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR, 0);
    void *shared = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) count = shared;
  }
}

/* 0: go on. 1: fail with errno set. 2: do half of it, then die(). 3: do half of it, if it can be halved. */
static int fault(char letter) {
  if (!strchr(calls, letter)) return 0;
  int64_t number = atomic_fetch_add(count, 1) + 1;
  if (kind == KILL && number == at) return 2;
  if ((kind == ONCE && number == at) || (kind == FROM && number >= at)) {
    errno = code;
    return 1;
  }
  if (kind == SHORT && number == at) return 3;
  const char *until = getenv("DRYDOCK_FAULT_UNTIL");
  for (int i = 0; kind == PAUSE && number == at && until && access(until, F_OK) != 0 && i < 60000; i++) usleep(1000);
  return 0;
}
__attribute__((noreturn)) static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}
static int is_file(int file) { /* not a message, a pipe or an eventfd of the runtime */
  struct stat found;
  return file > 2 && fstat(file, &found) == 0 && S_ISREG(found.st_mode);
}
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define GUARD(letter)                      \
  switch (fault(letter)) {                 \
  case 1: return -1;                       \
  case 2: die();                           \
  }

static size_t half(size_t size) { return size > 1 ? size / 2 : size; }

ssize_t write(int file, const void *bytes, size_t size) {
  if (is_file(file)) switch (fault('w')) {
    case 1: return -1;
    case 2: syscall(SYS_write, file, bytes, size / 2); die();
    case 3: size = half(size);
    }
  return syscall(SYS_write, file, bytes, size);
}
static ssize_t written(int file, const void *bytes, size_t size, off_t offset) {
  switch (fault('w')) {
  case 1: return -1;
  case 2: syscall(SYS_pwrite64, file, bytes, size / 2, offset); die();
  case 3: size = half(size);
  }
  return syscall(SYS_pwrite64, file, bytes, size, offset);
}
ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) { return written(file, bytes, size, offset); }
ssize_t pwrite64(int file, const void *bytes, size_t size, off_t offset) { return written(file, bytes, size, offset); }
ssize_t copy_file_range(int from, off_t *in, int to, off_t *out, size_t size, unsigned flags) {
  switch (fault('w')) {
  case 1: return -1;
  case 2: syscall(SYS_copy_file_range, from, in, to, out, size / 2, flags); die();
  case 3: size = half(size);
  }
  return syscall(SYS_copy_file_range, from, in, to, out, size, flags);
}
static ssize_t read_at(int file, void *bytes, size_t size, off_t offset) {
  GUARD('r')
  return syscall(SYS_pread64, file, bytes, size, offset);
}
ssize_t pread(int file, void *bytes, size_t size, off_t offset) { return read_at(file, bytes, size, offset); }
ssize_t pread64(int file, void *bytes, size_t size, off_t offset) { return read_at(file, bytes, size, offset); }
int fsync(int file) { GUARD('s') return (int)syscall(SYS_fsync, file); }
int fdatasync(int file) { GUARD('s') return (int)syscall(SYS_fdatasync, file); }
int ftruncate(int file, off_t size) { GUARD('t') return (int)syscall(SYS_ftruncate, file, size); }
int ftruncate64(int file, off_t size) { GUARD('t') return (int)syscall(SYS_ftruncate, file, size); }
int mkdir(const char *path, mode_t mode) { GUARD('n') return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode); }
int link(const char *from, const char *to) { GUARD('n') return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
  GUARD('n') return (int)syscall(SYS_linkat, a, from, b, to, flags);
}
int rename(const char *from, const char *to) {
  GUARD('m') return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  GUARD('m')
  if (getenv("DRYDOCK_FAULT_NO_EXCHANGE") && flags) { /* a file system that cannot swap names */
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_renameat2, a, from, b, to, flags);
}
int unlink(const char *path) { GUARD('u') return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
int rmdir(const char *path) { GUARD('u') return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR); }
static int opened(const char *path, int flags, mode_t mode) {
  if (flags & O_CREAT) GUARD('n')
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return opened(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  return opened(path, flags | O_LARGEFILE, mode);
}
int ioctl(int file, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  if (request == FICLONERANGE || request == FICLONE) GUARD('w')
  return (int)syscall(SYS_ioctl, file, request, argument);
}
