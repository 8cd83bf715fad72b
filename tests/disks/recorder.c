/* A recorder of what a program does to a directory: every change of a file or a name, and every sync, in one order.
 *
 *     cc -shared -fPIC -O2 -o recorder.so recorder.c -lpthread
 *     LD_PRELOAD=./recorder.so RECORDER_DIR=/real/path RECORDER_TRACE=/file/elsewhere program
 *
 * The calls are carried out as they are, one at a time, and written down once they have succeeded: a sync stands in the
 * trace behind all that it covers, and what stands behind it was done after it had returned. Where the program calls
 * `recorder_mark`, its text takes its place in the same order.
 *
 * The trace is `DISKTRC1`, then records, all numbers little endian and packed:
 *
 *     u8 kind, u32 file, i64 offset, u16 length of path, u16 length of second path, u32 length of data,
 *     path, second path, data
 *
 * kind                what happened                                   file  offset  path  second  data
 * ------------------  ----------------------------------------------  ----  ------  ----  ------  ----------------
 * 'C' create          open made a new file                            x             x
 * 'S' seen            a file that was there before is opened          x             x
 * 'W' write           write, pwrite                                   x     x                     the bytes
 * 'T' truncate        ftruncate, or O_TRUNC of open                   x     size
 * 'F' sync            fsync or fdatasync of a file                    x
 * 'E' failed sync     the same, and it failed                         x
 * 'D' directory sync  fsync of a directory                                          x
 * 'L' link removed    unlink, unlinkat                                              x
 * 'R' rename          rename, renameat, renameat2                                   x     to
 * 'M' made directory  mkdir, mkdirat                                                x
 * 'X' removed one     rmdir, unlinkat with AT_REMOVEDIR                             x
 * 'N' note            recorder_mark                                                               the text
 * '?' not covered     a call that changes files in a way unknown here               x             its name
 *
 * `path` is relative to RECORDER_DIR, "" the directory itself. `file` counts up from 1 for each file that there ever was:
 * a name that is created anew is another file. A file is known by device and inode, which no other file has while it is
 * open or has a name, so nothing is kept for a file descriptor.
 *
 * With RECORDER_RANDOM=/some/file the program reads that file where it asks for /dev/urandom: the nonces of SQLite are
 * then the same in every run. With RECORDER_FAIL=n the n-th sync of a file fails with EIO, and is not carried out. With
 * RECORDER_KILL=n the program is killed (SIGKILL) in the place of its n-th write, truncation or sync.
 * Changes that do not go through the functions of the C library that are named here (stdio, for one) are not seen; who
 * reads the trace compares its end with the directory. 64-bit Linux only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct known {
    struct known *next;
    dev_t dev;
    ino_t ino;
    uint32_t number;
};

struct record {
    char kind;
    uint32_t file;
    int64_t offset;
    uint16_t path, second;
    uint32_t data;
} __attribute__((packed));

static struct known *all;
static uint32_t numbers;
static unsigned long syncs, steps;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *why)
{
    fprintf(stderr, "recorder: %s: %s\n", why, strerror(errno));
    abort();
}

/* Also for a fork that has other variables than the program it came from. */
__attribute__((constructor)) void recorder_begin(void)
{
    const char *dir = getenv("RECORDER_DIR"), *to = getenv("RECORDER_TRACE");
    if (!dir || !to)
        return;
    if (!realpath(dir, root))
        die(dir);
    root_length = strlen(root);
}

/* With the first record; so a program may become another one (exec) before it touches the directory. */
static void open_trace(void)
{
    const char *to = getenv("RECORDER_TRACE");
    trace = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0 || syscall(SYS_write, trace, "DISKTRC1", 8) != 8)
        die(to);
}

static void note(char kind, uint32_t file, int64_t offset, const char *path, const char *second, const void *data, size_t n)
{
    int before = errno;
    struct record r = {kind, file, offset, (uint16_t)strlen(path), (uint16_t)strlen(second), (uint32_t)n};
    struct iovec parts[] = {{&r, sizeof r}, {(void *)path, r.path}, {(void *)second, r.second}, {(void *)data, n}};
    if (trace < 0)
        open_trace();
    size_t whole = sizeof r + r.path + r.second + n;
    ssize_t done = syscall(SYS_writev, trace, parts, 4);
    if (done != (ssize_t)whole)
        die("the trace can not be written");
    errno = before;
}

/* The part of an absolute path below the directory, NULL where it is elsewhere. */
static const char *below(const char *path)
{
    if (!root_length || strncmp(path, root, root_length))
        return NULL;
    return path[root_length] == '/' ? path + root_length + 1 : path[root_length] ? NULL : "";
}

/* The same for a path as it is given to a call; `room` holds it. */
static const char *below_at(int at, const char *path, char *room)
{
    char link[64];
    if (!root_length)
        return NULL;
    if (*path == '/')
        return below(path);
    ssize_t n;
    if (at == AT_FDCWD)
        n = getcwd(room, PATH_MAX) ? (ssize_t)strlen(room) : -1;
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        n = readlink(link, room, PATH_MAX - 1);
    }
    if (n < 0 || n + 2 + strlen(path) > PATH_MAX)
        return NULL;
    room[n] = '/';
    strcpy(room + n + 1, path);
    return below(room);
}

static const char *name_of(int fd, char *room)
{
    char link[64];
    if (!root_length)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, room, PATH_MAX - 1);
    if (n < 0)
        return NULL;
    room[n] = 0;
    return below(room);
}

static uint32_t number_of(const struct stat *st, bool anew)
{
    struct known *k = all;
    while (k && (k->dev != st->st_dev || k->ino != st->st_ino))
        k = k->next;
    if (!k) {
        if (!anew)
            return 0;
        if (!(k = malloc(sizeof *k)))
            die("no memory");
        k->dev = st->st_dev, k->ino = st->st_ino, k->next = all, all = k;
        k->number = ++numbers;
    } else if (anew)
        k->number = ++numbers;
    return k->number;
}

/* The number of the regular file behind fd, 0 where it is none of ours. Holds the lock. */
static uint32_t ours(int fd)
{
    struct stat st;
    char room[PATH_MAX];
    int before = errno;
    uint32_t number = 0;
    if (root_length && syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode) && !(number = number_of(&st, false))) {
        const char *path = name_of(fd, room);
        if (path)
            note('S', number = number_of(&st, true), 0, path, "", NULL, 0);
    }
    errno = before;
    return number;
}

/* The next change of a file of ours, or sync of it or of a directory, is about to be made. */
static void step(int fd)
{
    char room[PATH_MAX];
    const char *end = getenv("RECORDER_KILL");
    if (end && (ours(fd) || name_of(fd, room)) && ++steps == strtoul(end, NULL, 10))
        kill(getpid(), SIGKILL);
}

#define LOCKED(call)                  \
    pthread_mutex_lock(&lock);        \
    __auto_type result = call;        \
    pthread_mutex_unlock(&lock);      \
    return result;

/* Contents */

static ssize_t do_pwrite(int fd, const void *from, size_t n, off_t at)
{
    step(fd);
    ssize_t done = syscall(SYS_pwrite64, fd, from, n, at);
    uint32_t file = done > 0 ? ours(fd) : 0;
    if (file)
        note('W', file, at, "", "", from, (size_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { LOCKED(do_pwrite(fd, from, n, at)) }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { LOCKED(do_pwrite(fd, from, n, at)) }

static ssize_t do_write(int fd, const void *from, size_t n)
{
    step(fd);
    ssize_t done = syscall(SYS_write, fd, from, n);
    uint32_t file = done > 0 ? ours(fd) : 0;
    if (file)
        note('W', file, syscall(SYS_lseek, fd, 0, SEEK_CUR) - done, "", "", from, (size_t)done);
    return done;
}

ssize_t write(int fd, const void *from, size_t n) { LOCKED(do_write(fd, from, n)) }

static int do_truncate(int fd, off_t size)
{
    step(fd);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    uint32_t file = result == 0 ? ours(fd) : 0;
    if (file)
        note('T', file, size, "", "", NULL, 0);
    return result;
}

int ftruncate(int fd, off_t size) { LOCKED(do_truncate(fd, size)) }
int ftruncate64(int fd, off64_t size) { LOCKED(do_truncate(fd, size)) }

static int do_sync(int fd, long call)
{
    const char *fail = getenv("RECORDER_FAIL");
    struct stat st;
    char room[PATH_MAX];
    step(fd);
    uint32_t file = ours(fd);
    if (file && fail && ++syncs == strtoul(fail, NULL, 10)) {
        note('E', file, 0, "", "", NULL, 0);
        errno = EIO;
        return -1;
    }
    int result = (int)syscall(call, fd);
    if (file)
        note(result ? 'E' : 'F', file, 0, "", "", NULL, 0);
    else if (result == 0 && root_length && syscall(SYS_fstat, fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        const char *path = name_of(fd, room);
        if (path)
            note('D', 0, 0, path, "", NULL, 0);
    }
    return result;
}

int fsync(int fd) { LOCKED(do_sync(fd, SYS_fsync)) }
int fdatasync(int fd) { LOCKED(do_sync(fd, SYS_fdatasync)) }

/* Names */

static int do_open(int at, const char *path, int flags, mode_t mode)
{
    struct stat st;
    char room[PATH_MAX];
    const char *random = getenv("RECORDER_RANDOM");
    if (random && strcmp(path, "/dev/urandom") == 0)
        path = random;
    const char *name = flags & (O_CREAT | O_TRUNC) ? below_at(at, path, room) : NULL;
    bool there = name && syscall(SYS_newfstatat, at, path, &st, 0) == 0;
    int fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd < 0 || !name || syscall(SYS_fstat, fd, &st) || !S_ISREG(st.st_mode))
        return fd;
    if (!there)
        note('C', number_of(&st, true), 0, name, "", NULL, 0);
    else if (flags & O_TRUNC)
        note('T', ours(fd), 0, "", "", NULL, 0);
    return fd;
}

#define OPEN(at, path, flags)                                                 \
    va_list rest;                                                             \
    va_start(rest, flags);                                                    \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                             \
    LOCKED(do_open(at, path, flags, mode))

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags) }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags) }
int openat(int at, const char *path, int flags, ...) { OPEN(at, path, flags) }
int openat64(int at, const char *path, int flags, ...) { OPEN(at, path, flags) }

static int do_name(char kind, int at, const char *path, int result)
{
    char room[PATH_MAX];
    const char *name = result == 0 ? below_at(at, path, room) : NULL;
    if (name)
        note(kind, 0, 0, name, "", NULL, 0);
    return result;
}

static int do_unlink(int at, const char *path, int flags)
{
    return do_name(flags & AT_REMOVEDIR ? 'X' : 'L', at, path, (int)syscall(SYS_unlinkat, at, path, flags));
}

int unlink(const char *path) { LOCKED(do_unlink(AT_FDCWD, path, 0)) }
int unlinkat(int at, const char *path, int flags) { LOCKED(do_unlink(at, path, flags)) }
int rmdir(const char *path) { LOCKED(do_unlink(AT_FDCWD, path, AT_REMOVEDIR)) }
int mkdir(const char *path, mode_t mode) { LOCKED(do_name('M', AT_FDCWD, path, (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode))) }
int mkdirat(int at, const char *path, mode_t mode) { LOCKED(do_name('M', at, path, (int)syscall(SYS_mkdirat, at, path, mode))) }

static int do_rename(int at, const char *from, int to_at, const char *to, unsigned flags)
{
    char room[PATH_MAX], second_room[PATH_MAX];
    int result = (int)syscall(SYS_renameat2, at, from, to_at, to, flags);
    const char *name = result == 0 ? below_at(at, from, room) : NULL, *second = name ? below_at(to_at, to, second_room) : NULL;
    if (name && second && !flags)
        note('R', 0, 0, name, second, NULL, 0);
    else if (result == 0 && (name || below_at(to_at, to, second_room)))
        note('?', 0, 0, name ? name : "", "", "rename into or out of the directory, or with flags", 50);
    return result;
}

int rename(const char *from, const char *to) { LOCKED(do_rename(AT_FDCWD, from, AT_FDCWD, to, 0)) }
int renameat(int at, const char *from, int to_at, const char *to) { LOCKED(do_rename(at, from, to_at, to, 0)) }
int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) { LOCKED(do_rename(at, from, to_at, to, flags)) }

/* What nobody under test is known to use: it is carried out, and the trace says that it is not to be trusted. */

static void doubt(int fd, const char *call)
{
    char room[PATH_MAX];
    pthread_mutex_lock(&lock);
    if (ours(fd)) {
        const char *path = name_of(fd, room);
        note('?', 0, 0, path ? path : "", "", call, strlen(call));
    }
    pthread_mutex_unlock(&lock);
}

ssize_t writev(int fd, const struct iovec *parts, int n) { doubt(fd, "writev"); return syscall(SYS_writev, fd, parts, n); }
ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at) { doubt(fd, "pwritev"); return syscall(SYS_pwritev, fd, parts, n, at, 0); }
int fallocate(int fd, int mode, off_t at, off_t n) { doubt(fd, "fallocate"); return (int)syscall(SYS_fallocate, fd, mode, at, n); }
int fallocate64(int fd, int mode, off64_t at, off64_t n) { return fallocate(fd, mode, at, n); }
int posix_fallocate(int fd, off_t at, off_t n) { return fallocate(fd, 0, at, n) ? errno : 0; }
int posix_fallocate64(int fd, off64_t at, off64_t n) { return posix_fallocate(fd, at, n); }
ssize_t sendfile(int to, int from, off_t *at, size_t n) { doubt(to, "sendfile"); return syscall(SYS_sendfile, to, from, at, n); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) { return sendfile(to, from, at, n); }
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t n, unsigned flags)
{
    doubt(to, "copy_file_range");
    return syscall(SYS_copy_file_range, from, from_at, to, to_at, n, flags);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && protection & PROT_WRITE && flags & MAP_SHARED)
        doubt(fd, "mmap");
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset)
{
    return mmap(at, n, protection, flags, fd, offset);
}

/* Marks */

void recorder_mark(const char *text, size_t n)
{
    pthread_mutex_lock(&lock);
    if (root_length)
        note('N', 0, 0, "", "", text, n);
    pthread_mutex_unlock(&lock);
}
