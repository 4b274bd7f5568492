/* Stands between a process and the disk of its database: records what is written and synced there, and lets it fail.
 *
 * Loaded with LD_PRELOAD. Of the files below the folder DISK_FOLDER, those whose name begins with DISK_NAME count, and
 * the folder itself; `-shm` and `.lock` are no data.
 *
 *   DISK_RECORD=file   append what happens: an entry is operation, file, offset, length, then so many bytes of data
 *   DISK_FAIL=file:operation:nth[+]:error   let the nth such call fail, or with + that and all that follow.
 *       file: db, wal, any; operation: write, sync, read; error: EIO, ENOSPC, SHORT (half of it is written, then ENOSPC)
 *   DISK_GATE=file     failures are only counted and only happen while this file is there
 *
 * Also recorded is what is sent over sockets, so that it is known what had been said at which state of the disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DATABASE = 1, LOG = 2, JOURNAL = 3, FOLDER = 4, SOCKET = 5 };
enum { MOST = 4096, SAID = 8192 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned char kinds[MOST];
static int record = -1;
static long calls;

#define REAL(name) static __typeof__(name) *real_##name; if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

static int kind_of_path(const char *path) {
    const char *folder = getenv("DISK_FOLDER"), *name = getenv("DISK_NAME");
    char whole[PATH_MAX];
    if (!folder || !name || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole - 2)) return 0;
        if (strlen(whole) + strlen(path) + 2 > sizeof whole) return 0;
        strcat(strcat(whole, "/"), path);
        path = whole;
    }
    size_t length = strlen(folder);
    if (strncmp(path, folder, length)) return 0;
    if (!path[length]) return FOLDER;
    if (path[length] != '/' || strncmp(path + length + 1, name, strlen(name))) return 0;
    const char *rest = path + length + 1 + strlen(name);
    if (!*rest) return DATABASE;
    if (!strcmp(rest, "-wal")) return LOG;
    if (!strcmp(rest, "-journal")) return JOURNAL;
    return 0;
}

static int kind_of(int fd) { return fd >= 0 && fd < MOST ? kinds[fd] : 0; }

static void note(char operation, int kind, int64_t offset, const struct iovec *parts, int count, uint64_t length) {
    REAL(writev);
    REAL(open);
    if (record == -1) {
        const char *path = getenv("DISK_RECORD");
        record = path ? real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -2;
    }
    if (record < 0) return;
    struct { char operation, kind, unused[6]; int64_t offset; uint64_t length; } head = {operation, (char)kind, {0}, offset, length};
    struct iovec whole[64] = {{&head, sizeof head}};
    uint64_t left = length;
    int used = 1;
    for (int i = 0; i < count && left && used < 64; i++, used++) {
        whole[used] = parts[i];
        if (whole[used].iov_len > left) whole[used].iov_len = left;
        left -= whole[used].iov_len;
    }
    if (left || real_writev(record, whole, used) != (ssize_t)(sizeof head + length)) {
        static const char complaint[] = "disk.c: the record cannot be written\n";
        REAL(write);
        real_write(2, complaint, sizeof complaint - 1);
        _exit(99);
    }
}

static void note_data(char operation, int kind, int64_t offset, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    note(operation, kind, offset, &part, 1, length);
}

/* The error with which this call is to fail, or 0; -1 for SHORT. */
static int failure(int kind, const char *operation) {
    const char *said = getenv("DISK_FAIL"), *gate = getenv("DISK_GATE");
    char file[8], what[8], error[8], plus[2] = "";
    long nth;
    if (!said || (kind != DATABASE && kind != LOG) || (gate && access(gate, F_OK))) return 0;
    if (sscanf(said, "%7[^:]:%7[^:]:%ld:%7s", file, what, &nth, error) != 4 &&
        sscanf(said, "%7[^:]:%7[^:]:%ld%1[+]:%7s", file, what, &nth, plus, error) != 5) abort();
    if (strcmp(what, operation) || (strcmp(file, "any") && strcmp(file, kind == LOG ? "wal" : "db"))) return 0;
    calls++;
    if (calls < nth || (calls > nth && !*plus)) return 0;
    return !strcmp(error, "SHORT") ? (calls == nth ? -1 : ENOSPC) : !strcmp(error, "ENOSPC") ? ENOSPC : EIO;
}

static int opened(int fd, const char *path, int flags, int is_new) {
    int kind = fd >= 0 && fd < MOST ? kind_of_path(path) : 0;
    if (fd >= 0 && fd < MOST) kinds[fd] = (unsigned char)kind;
    if (kind && kind != FOLDER && (flags & O_CREAT) && is_new) note('c', kind, 0, NULL, 0, 0);
    if (kind && kind != FOLDER && (flags & O_TRUNC)) note('t', kind, 0, NULL, 0, 0);
    return fd;
}

#define OPEN(name)                                                              \
    int name(const char *path, int flags, ...) {                                \
        REAL(name);                                                             \
        mode_t mode = 0;                                                        \
        if (flags & (O_CREAT | O_TMPFILE)) {                                    \
            va_list rest;                                                       \
            va_start(rest, flags);                                              \
            mode = va_arg(rest, mode_t);                                        \
            va_end(rest);                                                       \
        }                                                                       \
        if (!kind_of_path(path)) {                                              \
            int fd = real_##name(path, flags, mode);                            \
            if (fd >= 0 && fd < MOST) kinds[fd] = 0;                            \
            return fd;                                                          \
        }                                                                       \
        pthread_mutex_lock(&turn);                                              \
        int is_new = access(path, F_OK) != 0;                                   \
        int fd = opened(real_##name(path, flags, mode), path, flags, is_new);   \
        pthread_mutex_unlock(&turn);                                            \
        return fd;                                                              \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd < MOST) kinds[fd] = 0;
    return real_close(fd);
}

static void say(int fd, const struct iovec *parts, int count) {
    struct stat status;
    if (fd < 0 || fd >= MOST || kinds[fd] || !getenv("DISK_RECORD") || fstat(fd, &status) || !S_ISSOCK(status.st_mode)) return;
    uint64_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    pthread_mutex_lock(&turn);
    note('s', SOCKET, fd, parts, count, length < SAID ? length : SAID);
    pthread_mutex_unlock(&turn);
}

#define PWRITE(name, type)                                                      \
    ssize_t name(int fd, const void *data, size_t length, type offset) {        \
        REAL(name);                                                             \
        int kind = kind_of(fd);                                                 \
        if (!kind) return real_##name(fd, data, length, offset);                \
        pthread_mutex_lock(&turn);                                              \
        int error = failure(kind, "write");                                     \
        ssize_t done = -1;                                                      \
        if (error < 0) done = real_##name(fd, data, length / 2, offset);        \
        else if (!error) done = real_##name(fd, data, length, offset);          \
        if (done > 0) note_data('w', kind, offset, data, (size_t)done);         \
        pthread_mutex_unlock(&turn);                                            \
        if (error > 0) errno = error;                                           \
        return done;                                                            \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    REAL(write);
    int kind = kind_of(fd);
    if (!kind) {
        struct iovec part = {(void *)data, length};
        say(fd, &part, 1);
        return real_write(fd, data, length);
    }
    pthread_mutex_lock(&turn);
    int64_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = real_write(fd, data, length);
    if (done > 0) note_data('w', kind, offset, data, (size_t)done);
    pthread_mutex_unlock(&turn);
    return done;
}

/* What would pass unseen ends the process, so that no record is ever a part of the truth. */
static void refuse(int fd, const char *call) {
    if (!kind_of(fd)) return;
    fprintf(stderr, "disk.c: %s on a database is not recorded\n", call);
    abort();
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    refuse(fd, "writev");
    say(fd, parts, count);
    return real_writev(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    REAL(pwritev);
    refuse(fd, "pwritev");
    return real_pwritev(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    REAL(pwritev64);
    refuse(fd, "pwritev64");
    return real_pwritev64(fd, parts, count, offset);
}

ssize_t send(int fd, const void *data, size_t length, int flags) {
    REAL(send);
    struct iovec part = {(void *)data, length};
    say(fd, &part, 1);
    return real_send(fd, data, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    REAL(sendmsg);
    say(fd, message->msg_iov, (int)message->msg_iovlen);
    return real_sendmsg(fd, message, flags);
}

#define PREAD(name, type)                                                       \
    ssize_t name(int fd, void *data, size_t length, type offset) {              \
        REAL(name);                                                             \
        int kind = kind_of(fd);                                                 \
        if (!kind) return real_##name(fd, data, length, offset);                \
        pthread_mutex_lock(&turn);                                              \
        int error = failure(kind, "read");                                      \
        pthread_mutex_unlock(&turn);                                            \
        if (!error) return real_##name(fd, data, length, offset);               \
        errno = EIO;                                                            \
        return -1;                                                              \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define SYNC(name)                                                              \
    int name(int fd) {                                                          \
        REAL(name);                                                             \
        int kind = kind_of(fd);                                                 \
        if (!kind) return real_##name(fd);                                      \
        pthread_mutex_lock(&turn);                                              \
        int error = failure(kind, "sync");                                      \
        int done = error ? -1 : real_##name(fd);                                \
        if (!done) note('y', kind, 0, NULL, 0, 0);                              \
        pthread_mutex_unlock(&turn);                                            \
        if (error) errno = error > 0 ? error : EIO;                             \
        return done;                                                            \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, type)                                                    \
    int name(int fd, type size) {                                               \
        REAL(name);                                                             \
        int kind = kind_of(fd);                                                 \
        if (!kind) return real_##name(fd, size);                                \
        pthread_mutex_lock(&turn);                                              \
        int done = real_##name(fd, size);                                       \
        if (!done) note('t', kind, size, NULL, 0, 0);                           \
        pthread_mutex_unlock(&turn);                                            \
        return done;                                                            \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    REAL(fallocate64);
    refuse(fd, "fallocate");
    return real_fallocate64(fd, mode, offset, length);
}

int unlink(const char *path) {
    REAL(unlink);
    int kind = kind_of_path(path);
    if (!kind) return real_unlink(path);
    pthread_mutex_lock(&turn);
    int done = real_unlink(path);
    if (!done) note('u', kind, 0, NULL, 0, 0);
    pthread_mutex_unlock(&turn);
    return done;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    if (kind_of_path(from) || kind_of_path(to)) {
        fprintf(stderr, "disk.c: rename of a database is not recorded\n");
        abort();
    }
    return real_rename(from, to);
}
