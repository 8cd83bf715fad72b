/* A disk that forgets: whatever a program has not synced is lost with the program, as a power failure would lose it.
 *
 * SIGKILL takes a process but leaves the page cache of the kernel, so killing a replica never shows a missing fsync.
 * Preloaded into a process, this keeps all that it writes to regular files below FORGETFUL_DIR in its own memory, and
 * shows it to the process as if it were in the file; fsync and fdatasync write it to the file, and sync that. However
 * the process ends, what it has not synced has never been.
 *
 *     cc -shared -fPIC -O2 -o forgetful.so forgetful.c
 *     LD_PRELOAD=./forgetful.so FORGETFUL_DIR=/real/path program
 *
 * FORGETFUL_LIE=1 makes every sync do nothing and say that it has: a store on such a disk must fail its checks.
 *
 * A file is known by device and inode, so nothing is kept for a file descriptor. Truncation by open(2), unlink and
 * rename take effect at once. Not covered, because nothing under test uses them on such files: mmap, writev, sendfile,
 * copy_file_range, fallocate. 64-bit Linux only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, BUCKETS = 4096 };

struct page {
    struct page *next;
    off_t number;
    char data[PAGE];
};

/* A file with something that is not synced. Below `through`, what no page covers is read from the real file; between
 * `through` and `size` it is zeros. Invariant: through <= size of the real file, through <= size. */
struct file {
    struct file *next;
    dev_t dev;
    ino_t ino;
    off_t size, through;
    struct page *pages[BUCKETS];
};

static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int real_fstat(int fd, struct stat *st) { return (int)syscall(SYS_fstat, fd, st); }
static int real_stat(const char *path, struct stat *st) { return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0); }
static ssize_t real_pread(int fd, void *to, size_t n, off_t at) { return syscall(SYS_pread64, fd, to, n, at); }

static struct file *find(const struct stat *st)
{
    struct file *f = files;
    while (f && (f->dev != st->st_dev || f->ino != st->st_ino))
        f = f->next;
    return f;
}

static void drop_pages(struct file *f, off_t from)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct page **at = &f->pages[i]; *at;) {
            struct page *p = *at;
            if (p->number >= from) {
                *at = p->next;
                free(p);
            } else {
                at = &p->next;
            }
        }
}

static void forget(struct file *f)
{
    struct file **at = &files;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    drop_pages(f, 0);
    free(f);
}

static bool below_dir(int fd)
{
    const char *dir = getenv("FORGETFUL_DIR");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (!dir || n < 0)
        return false;
    path[n] = 0;
    size_t length = strlen(dir);
    return strncmp(path, dir, length) == 0 && path[length] == '/';
}

/* The file behind fd, where it is one of ours; `create` begins to keep it. NULL for all others. Holds the lock. */
static struct file *ours(int fd, bool create)
{
    struct stat st;
    int before = errno;
    struct file *f = NULL;
    if (real_fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        f = find(&st);
        if (!f && create && below_dir(fd) && (f = calloc(1, sizeof *f))) {
            f->dev = st.st_dev;
            f->ino = st.st_ino;
            f->size = f->through = st.st_size;
            f->next = files;
            files = f;
        }
    }
    errno = before;
    return f;
}

static struct page *lookup(struct file *f, off_t number)
{
    struct page *p = f->pages[number % BUCKETS];
    while (p && p->number != number)
        p = p->next;
    return p;
}

/* The bytes of the real file that still show, and zeros after them. */
static bool read_below(struct file *f, int fd, char *to, size_t n, off_t at)
{
    memset(to, 0, n);
    if (at >= f->through)
        return true;
    size_t left = n < (size_t)(f->through - at) ? n : (size_t)(f->through - at);
    while (left) {
        ssize_t got = real_pread(fd, to, left, at);
        if (got <= 0)
            return false;
        to += got, at += got, left -= (size_t)got;
    }
    return true;
}

static ssize_t read_at(struct file *f, int fd, char *to, size_t n, off_t at)
{
    if (at >= f->size)
        return 0;
    if (n > (size_t)(f->size - at))
        n = (size_t)(f->size - at);
    for (size_t done = 0; done < n;) {
        off_t place = at + (off_t)done;
        size_t start = (size_t)(place % PAGE), part = PAGE - start < n - done ? PAGE - start : n - done;
        struct page *p = lookup(f, place / PAGE);
        if (p)
            memcpy(to + done, p->data + start, part);
        else if (!read_below(f, fd, to + done, part, place))
            return errno = EIO, -1;
        done += part;
    }
    return (ssize_t)n;
}

static ssize_t write_at(struct file *f, int fd, const char *from, size_t n, off_t at)
{
    for (size_t done = 0; done < n;) {
        off_t place = at + (off_t)done, number = place / PAGE;
        size_t start = (size_t)(place % PAGE), part = PAGE - start < n - done ? PAGE - start : n - done;
        struct page *p = lookup(f, number);
        if (!p) {
            if (!(p = malloc(sizeof *p)))
                return errno = ENOSPC, -1;
            if (!read_below(f, fd, p->data, PAGE, number * PAGE)) {
                free(p);
                return errno = EIO, -1;
            }
            p->number = number;
            p->next = f->pages[number % BUCKETS];
            f->pages[number % BUCKETS] = p;
        }
        memcpy(p->data + start, from + done, part);
        done += part;
    }
    if (at + (off_t)n > f->size)
        f->size = at + (off_t)n;
    return (ssize_t)n;
}

static void cut(struct file *f, off_t size)
{
    struct page *last = lookup(f, size / PAGE);
    if (last && size < f->size)
        memset(last->data + size % PAGE, 0, (size_t)(PAGE - size % PAGE));
    drop_pages(f, (size + PAGE - 1) / PAGE);
    f->size = size;
    if (f->through > size)
        f->through = size;
}

static int write_through(struct file *f, int fd)
{
    if (syscall(SYS_ftruncate, fd, f->through) || syscall(SYS_ftruncate, fd, f->size))
        return -1;
    for (int i = 0; i < BUCKETS; i++)
        for (struct page *p = f->pages[i]; p; p = p->next) {
            off_t at = p->number * PAGE, end = at + PAGE < f->size ? at + PAGE : f->size;
            for (const char *from = p->data; at < end;) {
                ssize_t n = syscall(SYS_pwrite64, fd, from, (size_t)(end - at), at);
                if (n < 0)
                    return -1;
                from += n, at += n;
            }
        }
    return 0;
}

static int sync_with(int fd, long call)
{
    const char *lie = getenv("FORGETFUL_LIE");
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, false);
    if (f && lie && *lie == '1') {
        pthread_mutex_unlock(&lock);
        return 0;
    }
    int result = f ? write_through(f, fd) : 0;
    if (result == 0)
        result = (int)syscall(call, fd);
    if (f && result == 0)
        forget(f);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_with(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_with(fd, SYS_fdatasync); }

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, false);
    ssize_t result = f ? read_at(f, fd, to, n, at) : 0;
    pthread_mutex_unlock(&lock);
    return f ? result : real_pread(fd, to, n, at);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, true);
    ssize_t result = f ? write_at(f, fd, from, n, at) : 0;
    pthread_mutex_unlock(&lock);
    return f ? result : syscall(SYS_pwrite64, fd, from, n, at);
}

ssize_t pread64(int fd, void *to, size_t n, off64_t at) { return pread(fd, to, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { return pwrite(fd, from, n, at); }

ssize_t read(int fd, void *to, size_t n)
{
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, false);
    ssize_t result = 0;
    if (f) {
        off_t at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
        if ((result = read_at(f, fd, to, n, at)) > 0)
            syscall(SYS_lseek, fd, at + result, SEEK_SET);
    }
    pthread_mutex_unlock(&lock);
    return f ? result : syscall(SYS_read, fd, to, n);
}

ssize_t write(int fd, const void *from, size_t n)
{
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, true);
    ssize_t result = 0;
    if (f) {
        bool append = syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND;
        off_t at = append ? f->size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
        if ((result = write_at(f, fd, from, n, at)) > 0)
            syscall(SYS_lseek, fd, at + result, SEEK_SET);
    }
    pthread_mutex_unlock(&lock);
    return f ? result : syscall(SYS_write, fd, from, n);
}

int ftruncate(int fd, off_t size)
{
    pthread_mutex_lock(&lock);
    struct file *f = ours(fd, true);
    if (f)
        cut(f, size);
    pthread_mutex_unlock(&lock);
    return f ? 0 : (int)syscall(SYS_ftruncate, fd, size);
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

off_t lseek(int fd, off_t by, int whence)
{
    pthread_mutex_lock(&lock);
    struct file *f = whence == SEEK_END ? ours(fd, false) : NULL;
    off_t result = f ? syscall(SYS_lseek, fd, f->size + by, SEEK_SET) : syscall(SYS_lseek, fd, by, whence);
    pthread_mutex_unlock(&lock);
    return result;
}

off64_t lseek64(int fd, off64_t by, int whence) { return lseek(fd, by, whence); }

static int with_size(int result, struct stat *st)
{
    if (result == 0 && S_ISREG(st->st_mode)) {
        pthread_mutex_lock(&lock);
        struct file *f = find(st);
        if (f)
            st->st_size = f->size;
        pthread_mutex_unlock(&lock);
    }
    return result;
}

int fstat(int fd, struct stat *st) { return with_size(real_fstat(fd, st), st); }
int stat(const char *path, struct stat *st) { return with_size(real_stat(path, st), st); }
int fstat64(int fd, struct stat64 *st) { return fstat(fd, (struct stat *)st); }
int stat64(const char *path, struct stat64 *st) { return stat(path, (struct stat *)st); }

static int opened(int fd, int flags)
{
    if (fd >= 0 && flags & O_TRUNC) {
        pthread_mutex_lock(&lock);
        struct file *f = ours(fd, false);
        if (f)
            forget(f);
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

#define OPEN(at, path, flags)                                                        \
    va_list rest;                                                                    \
    va_start(rest, flags);                                                           \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;        \
    va_end(rest);                                                                    \
    return opened((int)syscall(SYS_openat, at, path, flags, mode), flags);

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags) }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags) }
int openat(int at, const char *path, int flags, ...) { OPEN(at, path, flags) }
int openat64(int at, const char *path, int flags, ...) { OPEN(at, path, flags) }

/* Its name is about to go: nothing of it can be lost any more, but who has it open may still read it, and its inode
 * may soon be another file's. */
static void leave(const char *path)
{
    struct stat st;
    int before = errno;
    pthread_mutex_lock(&lock);
    struct file *f = real_stat(path, &st) == 0 ? find(&st) : NULL;
    if (f) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
        if (fd >= 0) {
            write_through(f, fd);
            syscall(SYS_close, fd);
        }
        forget(f);
    }
    pthread_mutex_unlock(&lock);
    errno = before;
}

int unlink(const char *path)
{
    leave(path);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to)
{
    leave(to);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
