/* SPDX-License-Identifier: MIT */
#pragma once

/* A thin layer over SQLite's way to the file system: counts what is written and synced (design 9's budget), and lets
 * a database on a read-only file system be read. Stands on whatever is SQLite's default, so that a test can put a
 * file system that fails below it. */

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>

struct store_vfs {
        sqlite3_vfs vfs; /* first: what SQLite is given; zName to open with */
        sqlite3_vfs *below;
        char name[32];
        atomic_uint_least64_t written_bytes, syncs; /* read by the event loop's thread */
};

/* Registers it; to be called where waiting is allowed, for it is SQLite's first call. Returns an SQLite code. */
int store_vfs_register(struct store_vfs *v);
void store_vfs_unregister(struct store_vfs *v);
