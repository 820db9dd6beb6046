/* SPDX-License-Identifier: MIT */

/* What the daemon would make of the settings file of each directory named on stdin: a line "STATE CAPACITY by", in the
 * enum's order first, good, previous, damaged; -1 = no capacity set. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "settings-file.h"

int main(void) {
        static const char *const names[] = {"first", "good", "previous", "damaged"};
        char directory[4096];

        while (fgets(directory, sizeof(directory), stdin)) {
                struct settings defaults;
                struct kept_settings k;
                enum settings_file_state state;
                char text[256];

                directory[strcspn(directory, "\n")] = '\0';
                settings_init(&defaults);
                if (settings_file_read(directory, &defaults, &k, &state, text, sizeof(text)) < 0)
                        return 1;
                const struct maybe capacity = k.values.values[SETTING_CAPACITY];
                (void)printf("%s %" PRId32 " %s\n", names[state], capacity.known ? capacity.value : -1, k.by);
                (void)fflush(stdout);
        }
        return 0;
}
