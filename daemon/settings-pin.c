/* SPDX-License-Identifier: MIT */
#include "settings-pin.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* crypt_r(3) into ret_hash. Its work area holds the PIN, and is too large for a small stack. */
static int hash_with(const char *pin, const char *setting, char ret_hash[PIN_HASH_MAX]) {
        struct crypt_data *data;
        const char *hash;
        int r = 0;

        data = calloc(1, sizeof(*data));
        if (!data)
                return -ENOMEM;
        hash = crypt_r(pin, setting, data);
        if (!hash || hash[0] == '*')
                r = hash || errno == 0 ? -EINVAL : -errno;
        else if (strlen(hash) >= PIN_HASH_MAX)
                r = -ENOSPC;
        else
                memcpy(ret_hash, hash, strlen(hash) + 1);
        explicit_bzero(data, sizeof(*data));
        free(data);
        return r;
}

int pin_hash(const char *pin, char ret_hash[PIN_HASH_MAX]) {
        char setting[CRYPT_GENSALT_OUTPUT_SIZE];

        if (!pin_well_formed(pin))
                return -EINVAL;
        if (strcmp(pin, PIN_FIRST) == 0) { /* no secret, so nothing to hide; and others can see that it is not one */
                ret_hash[0] = '\0';
                return 0;
        }
        if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
                return -errno;
        return hash_with(pin, setting, ret_hash);
}

/* In the same time wherever they differ. */
static bool same(const char *a, const char *b) {
        const size_t n = strlen(a);
        unsigned differ = 0;

        if (n != strlen(b))
                return false;
        for (size_t i = 0; i < n; i++)
                differ |= (unsigned)(a[i] ^ b[i]);
        return differ == 0;
}

bool pin_matches(const char *pin, const char *hash) {
        char again[PIN_HASH_MAX];

        if (!pin_well_formed(pin))
                return false;
        if (hash[0] == '\0')
                return same(pin, PIN_FIRST);
        return hash_with(pin, hash, again) == 0 && same(again, hash);
}
