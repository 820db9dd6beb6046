/* SPDX-License-Identifier: MIT */
#include "store-vfs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct vfs_file {
        sqlite3_file file; /* first: what SQLite is given */
        struct store_vfs *v;
        sqlite3_file *real;
        bool read_only;
        _Alignas(sqlite3_int64) char space[]; /* for the real one; as well aligned as what SQLite gives */
};

static struct vfs_file *own(sqlite3_file *f) {
        return (struct vfs_file *)f;
}

static sqlite3_file *real(sqlite3_file *f) {
        return own(f)->real;
}

static int file_close(sqlite3_file *f) {
        return real(f)->pMethods->xClose(real(f));
}

static int file_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
        return real(f)->pMethods->xRead(real(f), to, n, at);
}

static int file_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
        atomic_fetch_add(&own(f)->v->written_bytes, (uint64_t)n);
        return real(f)->pMethods->xWrite(real(f), from, n, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size) {
        return real(f)->pMethods->xTruncate(real(f), size);
}

static int file_sync(sqlite3_file *f, int flags) {
        atomic_fetch_add(&own(f)->v->syncs, 1);
        return real(f)->pMethods->xSync(real(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return real(f)->pMethods->xFileSize(real(f), ret);
}

/* Nobody writes to a read-only file system, so nobody needs to be kept out; and a lock for writing cannot be had on
 * a file that is open for reading. */
static int file_lock(sqlite3_file *f, int level) {
        return own(f)->read_only ? SQLITE_OK : real(f)->pMethods->xLock(real(f), level);
}

static int file_unlock(sqlite3_file *f, int level) {
        return own(f)->read_only ? SQLITE_OK : real(f)->pMethods->xUnlock(real(f), level);
}

static int file_check_reserved(sqlite3_file *f, int *ret) {
        return real(f)->pMethods->xCheckReservedLock(real(f), ret);
}

static int file_control(sqlite3_file *f, int op, void *arg) {
        return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int file_sector_size(sqlite3_file *f) {
        return real(f)->pMethods->xSectorSize(real(f));
}

static int file_characteristics(sqlite3_file *f) {
        return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

static int file_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret) {
        return real(f)->pMethods->xShmMap(real(f), region, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f) {
        real(f)->pMethods->xShmBarrier(real(f));
}

static int file_shm_unmap(sqlite3_file *f, int remove) {
        return real(f)->pMethods->xShmUnmap(real(f), remove);
}

/* Version 2: no memory mapping (xFetch). */
static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_unlock,
        .xCheckReservedLock = file_check_reserved,
        .xFileControl = file_control,
        .xSectorSize = file_sector_size,
        .xDeviceCharacteristics = file_characteristics,
        .xShmMap = file_shm_map,
        .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier,
        .xShmUnmap = file_shm_unmap,
};

static sqlite3_vfs *below(sqlite3_vfs *vfs) {
        return ((struct store_vfs *)vfs)->below;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags) {
        struct vfs_file *f = own(file);
        int got = 0, there = 0, r;

        f->file.pMethods = NULL;
        f->v = (struct store_vfs *)vfs;
        f->real = (sqlite3_file *)f->space;
        /* SQLite syncs the directory after the first write to a log that it may have made: not when it is there. */
        if ((flags & SQLITE_OPEN_WAL) &&
            below(vfs)->xAccess(below(vfs), name, SQLITE_ACCESS_EXISTS, &there) == SQLITE_OK && there)
                flags &= ~SQLITE_OPEN_CREATE;
        r = below(vfs)->xOpen(below(vfs), name, f->real, flags, &got);
        if (r != SQLITE_OK) {
                if (f->real->pMethods) /* then it is to be closed */
                        (void)f->real->pMethods->xClose(f->real);
                return r;
        }
        f->read_only = got & SQLITE_OPEN_READONLY;
        f->file.pMethods = &methods;
        if (ret_flags)
                *ret_flags = got;
        return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory) {
        return below(vfs)->xDelete(below(vfs), name, sync_directory);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret) {
        return below(vfs)->xAccess(below(vfs), name, flags, ret);
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int size, char *ret) {
        return below(vfs)->xFullPathname(below(vfs), name, size, ret);
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret) {
        return below(vfs)->xRandomness(below(vfs), n, ret);
}

static int vfs_sleep(sqlite3_vfs *vfs, int usec) {
        return below(vfs)->xSleep(below(vfs), usec);
}

static int vfs_current_time(sqlite3_vfs *vfs, double *ret) {
        return below(vfs)->xCurrentTime(below(vfs), ret);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *ret) {
        return below(vfs)->xGetLastError(below(vfs), size, ret);
}

static int vfs_current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *ret) {
        return below(vfs)->xCurrentTimeInt64(below(vfs), ret);
}

int store_vfs_register(struct store_vfs *v) {
        sqlite3_vfs *base;
        int r;

        r = sqlite3_initialize();
        if (r != SQLITE_OK)
                return r;
        base = sqlite3_vfs_find(NULL);
        if (!base || base->iVersion < 2)
                return SQLITE_ERROR;
        v->below = base;
        (void)snprintf(v->name, sizeof(v->name), "smartbms-%p", (void *)v);
        /* no loadable extensions (xDl*): nobody loads any */
        v->vfs = (sqlite3_vfs){
                .iVersion = 2,
                .szOsFile = (int)sizeof(struct vfs_file) + base->szOsFile,
                .mxPathname = base->mxPathname,
                .zName = v->name,
                .xOpen = vfs_open,
                .xDelete = vfs_delete,
                .xAccess = vfs_access,
                .xFullPathname = vfs_full_pathname,
                .xRandomness = vfs_randomness,
                .xSleep = vfs_sleep,
                .xCurrentTime = vfs_current_time,
                .xGetLastError = vfs_last_error,
                .xCurrentTimeInt64 = vfs_current_time_int64,
        };
        return sqlite3_vfs_register(&v->vfs, 0);
}

void store_vfs_unregister(struct store_vfs *v) {
        if (v->below)
                (void)sqlite3_vfs_unregister(&v->vfs);
        v->below = NULL;
}
