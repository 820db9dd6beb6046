/* SPDX-License-Identifier: MIT */
#pragma once

/* The PIN (design 8, 10): kept as a hash by crypt(5), never read back. Hashing takes tens of milliseconds and megabytes
 * by design: for a thread that may wait. */

#include "settings.h"

#define PIN_FIRST "1234" /* until it is changed, and when it is reset (design 8, manual "Forgot my password") */

#define PIN_HASH_MAX 128 /* "$y$...", and its NUL */

/* PIN_FIRST becomes "", whether it was set anew or never changed. 0; -EINVAL: not pin_well_formed(); -Exxx. */
int pin_hash(const char *pin, char ret_hash[PIN_HASH_MAX]);

/* hash "": the PIN is PIN_FIRST. */
bool pin_matches(const char *pin, const char *hash);
