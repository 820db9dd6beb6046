/* SPDX-License-Identifier: MIT */
#pragma once

/* For tests of the database: SQLite's way to the files, which can be full, read-only, broken or slow when a test
 * says so. Becomes SQLite's
 * default; what opens files later stands on it. */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

struct bad_file {
        sqlite3_file file;
        _Alignas(sqlite3_int64) char real[]; /* as well aligned as what SQLite gives */
};

static atomic_int bad_write, bad_sync, bad_open; /* SQLite codes to fail with; 0 = works */
static atomic_int bad_sleep_msec;                /* before the next sync */
static sqlite3_vfs *bad_below;

static sqlite3_file *bad_real(sqlite3_file *f) {
        return (sqlite3_file *)((struct bad_file *)f)->real;
}

#define PASS(f, call, ...) bad_real(f)->pMethods->call(bad_real(f), ##__VA_ARGS__)

static int bad_close(sqlite3_file *f) {
        return PASS(f, xClose);
}

static int bad_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at) {
        return PASS(f, xRead, to, n, at);
}

static int bad_do_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at) {
        const int code = atomic_load(&bad_write);

        return code ? code : PASS(f, xWrite, from, n, at);
}

static int bad_truncate(sqlite3_file *f, sqlite3_int64 size) {
        return PASS(f, xTruncate, size);
}

static int bad_do_sync(sqlite3_file *f, int flags) {
        const int code = atomic_load(&bad_sync);

        (void)usleep((useconds_t)atomic_exchange(&bad_sleep_msec, 0) * 1000);
        return code ? code : PASS(f, xSync, flags);
}

static int bad_size(sqlite3_file *f, sqlite3_int64 *ret) {
        return PASS(f, xFileSize, ret);
}

static int bad_lock(sqlite3_file *f, int level) {
        return PASS(f, xLock, level);
}

static int bad_unlock(sqlite3_file *f, int level) {
        return PASS(f, xUnlock, level);
}

static int bad_check_lock(sqlite3_file *f, int *ret) {
        return PASS(f, xCheckReservedLock, ret);
}

static int bad_control(sqlite3_file *f, int op, void *arg) {
        return PASS(f, xFileControl, op, arg);
}

static int bad_sector(sqlite3_file *f) {
        return PASS(f, xSectorSize);
}

static int bad_characteristics(sqlite3_file *f) {
        return PASS(f, xDeviceCharacteristics);
}

static int bad_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret) {
        return PASS(f, xShmMap, region, size, extend, ret);
}

static int bad_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
        return PASS(f, xShmLock, offset, n, flags);
}

static void bad_shm_barrier(sqlite3_file *f) {
        PASS(f, xShmBarrier);
}

static int bad_shm_unmap(sqlite3_file *f, int remove) {
        return PASS(f, xShmUnmap, remove);
}

static const sqlite3_io_methods bad_methods = {
        2, bad_close, bad_read, bad_do_write, bad_truncate, bad_do_sync, bad_size, bad_lock, bad_unlock, bad_check_lock,
        bad_control, bad_sector, bad_characteristics, bad_shm_map, bad_shm_lock, bad_shm_barrier,
                bad_shm_unmap, NULL, NULL,
};

static int bad_do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags) {
        int r = atomic_load(&bad_open);

        (void)vfs;
        f->pMethods = NULL;
        if (r)
                return r;
        r = bad_below->xOpen(bad_below, name, bad_real(f), flags, ret_flags);
        if (r == SQLITE_OK)
                f->pMethods = &bad_methods;
        return r;
}

static int bad_delete(sqlite3_vfs *vfs, const char *name, int sync) {
        (void)vfs;
        return bad_below->xDelete(bad_below, name, sync);
}

static int bad_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret) {
        (void)vfs;
        return bad_below->xAccess(bad_below, name, flags, ret);
}

static int bad_path(sqlite3_vfs *vfs, const char *name, int n, char *ret) {
        (void)vfs;
        return bad_below->xFullPathname(bad_below, name, n, ret);
}

static void bad_disk_begin(void) {
        static sqlite3_vfs vfs;

        if (bad_below || sqlite3_initialize() != SQLITE_OK)
                return;
        bad_below = sqlite3_vfs_find("unix");
        vfs = *bad_below;
        vfs.pNext = NULL;
        vfs.zName = "bad-disk";
        vfs.szOsFile = (int)sizeof(struct bad_file) + bad_below->szOsFile;
        vfs.xOpen = bad_do_open;
        vfs.xDelete = bad_delete;
        vfs.xAccess = bad_access;
        vfs.xFullPathname = bad_path;
        (void)sqlite3_vfs_register(&vfs, 1);
}

static void bad_disk_mend(void) {
        atomic_store(&bad_write, 0);
        atomic_store(&bad_sync, 0);
        atomic_store(&bad_open, 0);
        atomic_store(&bad_sleep_msec, 0);
}
