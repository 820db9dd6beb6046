/* SPDX-License-Identifier: MIT */

/* The least a program can do that wants to know what a chain says: floor PATH waits for bytes, and decodes each 58 of
 * them. What smartbmsd needs beyond it is what deciding, publishing and watching the clock cost. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "frame.h"

int main(int argc, char *argv[]) {
        uint8_t buffer[1024];
        struct termios tio;
        struct frame frame;
        size_t fill = 0;
        ssize_t n;
        int fd;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        fd = argc == 2 ? open(argv[1], O_RDONLY | O_NOCTTY | O_CLOEXEC) : -1;
        if (fd < 0 || tcgetattr(fd, &tio) < 0) {
                (void)fprintf(stderr, "usage: %s TERMINAL\n", argv[0]);
                return 2;
        }
        cfmakeraw(&tio);
        (void)tcsetattr(fd, TCSANOW, &tio);
        (void)puts("ready");
        (void)fflush(stdout);

        while ((n = read(fd, buffer + fill, sizeof(buffer) - fill)) > 0) {
                size_t at = 0;

                fill += (size_t)n;
                for (; at + FRAME_SIZE <= fill; at += FRAME_SIZE)
                        if (!frame_decode(buffer + at, TEMPERATURE_SHEET, &frame)) {
                                (void)fputs("floor: not in step with the frames\n", stderr);
                                return EXIT_FAILURE;
                        }
                for (size_t i = at; i < fill; i++)
                        buffer[i - at] = buffer[i];
                fill -= at;
        }
        return EXIT_SUCCESS; /* the writer is gone */
}
