/* A machine with a slow disk and a wrong clock: preloaded into a process, syncs wait before they do their work, and the wall
 * clock is off.
 *
 *     cc -shared -fPIC -O2 -o shim.so shim.c -ldl
 *     LD_PRELOAD=./shim.so TOYSTORE_SHIM=/path program
 *
 * The file TOYSTORE_SHIM holds two 64-bit numbers as the machine writes them: how many milliseconds each fsync and fdatasync
 * takes longer, and how many seconds the clock is ahead. It is mapped, so that a running program follows it at once and for
 * nothing. The monotonic clock is right, as after a jump of the wall clock: timers go on.
 *
 * Not covered: waits until a time of the wall clock (pthread_cond_timedwait without a monotonic clock), which CPython and
 * SQLite do not use here. 64-bit Linux only.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    int64_t sync_ms;
    int64_t ahead_s;
};

enum { LONGEST_MS = 60000 };

static const struct orders nothing;
static volatile const struct orders *orders = &nothing;
static int (*real_clock)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TOYSTORE_SHIM");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (file < 0)
        return;
    void *found = mmap(NULL, sizeof(struct orders), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED)
        orders = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    int result = real_clock ? real_clock(clock, out) : (int)syscall(SYS_clock_gettime, clock, out);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += orders->ahead_s;
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now))
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

static void linger(void) {
    int64_t ms = orders->sync_ms;
    if (ms <= 0)
        return;
    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) != 0)
        ; /* a signal has come: what is left of it */
}

int fsync(int fd) {
    linger();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    linger();
    return (int)syscall(SYS_fdatasync, fd);
}
