/* A disk that is slow to sync: preloaded into a process, fsync and fdatasync wait before they do their work.
 *
 *     cc -shared -fPIC -O2 -o slow_sync.so slow_sync.c
 *     LD_PRELOAD=./slow_sync.so SLOW_SYNC_FILE=/path program
 *
 * SLOW_SYNC_FILE holds a decimal number of milliseconds and is read again for every sync, so that a running program can
 * be slowed down and let go. Where it is missing or holds no number, nothing is slowed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_MS = 60000 };

static void linger(void) {
    const char *path = getenv("SLOW_SYNC_FILE");
    char text[16];
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return;
    text[length] = 0;
    long ms = strtol(text, NULL, 10);
    if (ms <= 0)
        return;
    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    struct timespec rest = {ms / 1000, ms % 1000 * 1000000L};
    /* The call of the kernel itself: other preloaded libraries may replace nanosleep. A signal is waited out. */
    while (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &rest, &rest) != 0)
        ;
}

int fsync(int fd) {
    linger();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    linger();
    return (int)syscall(SYS_fdatasync, fd);
}
