/* SPDX-License-Identifier: MIT */
/* The boards' pure parts say the same on a chip, where an int has 16 bits and a long 32, as here.
 *
 *   on-avr SOURCE-ROOT
 *
 * Builds vectors.c with avr-gcc, runs it in simavr, and compares what is left in the registers with what
 * vectors.c says here. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#include "vectors.h"

/* What simavr leaks is no finding here. Called by the sanitizer, if there is one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
        return "leak:libsimavr";
}

#define EXIT_SKIP 77
#define CYCLES_MAX UINT64_C(4000000000)

/* Data addresses on the ATmega328P. */
enum { EEDR = 0x40, GPIOR0 = 0x3E, GPIOR1 = 0x4A, GPIOR2 = 0x4B };

static int build(const char *root, const char *elf) {
        char command[2000];
        int n = snprintf(
                command, sizeof(command),
                "cd '%s' && avr-gcc -mmcu=atmega328p -std=c99 -Os -Wall -Wextra -Werror -Ilib -Ifirmware "
                "-Itests/firmware tests/firmware/vectors-avr.c tests/firmware/vectors.c firmware/measure.c "
                "firmware/bypass.c firmware/eeprom.c -o '%s'",
                root, elf);

        return n < (int)sizeof(command) ? system(command) : -1;
}

static int run(const char *elf, uint32_t *ret_hash) {
        elf_firmware_t firmware = {0};
        avr_t *avr;
        int state;

        if (elf_read_firmware(elf, &firmware) != 0)
                return -1;
        avr = avr_make_mcu_by_name("atmega328p");
        if (!avr)
                return -1;
        avr_init(avr);
        avr->log = LOG_ERROR;
        firmware.frequency = 2000000;
        avr_load_firmware(avr, &firmware);
        do
                state = avr_run(avr);
        while (state != cpu_Done && state != cpu_Crashed && avr->cycle < CYCLES_MAX);
        printf("%.1f million cycles\n", (double)avr->cycle / 1e6);
        *ret_hash = avr->data[GPIOR0] | (uint32_t)avr->data[GPIOR1] << 8 | (uint32_t)avr->data[GPIOR2] << 16 |
                    (uint32_t)avr->data[EEDR] << 24;
        return state == cpu_Done ? 0 : -1;
}

int main(int argc, char **argv) {
        char elf[] = "/tmp/on-avr-XXXXXX";
        uint32_t here = vectors_hash(), there = 0;
        int fd, status;

        if (argc != 2)
                return 2;
        if (system("command -v avr-gcc >/dev/null") != 0) {
                puts("skipped: no avr-gcc here (apt install gcc-avr avr-libc)");
                return EXIT_SKIP;
        }
        fd = mkstemp(elf);
        if (fd < 0)
                return 1;
        close(fd);
        status = build(argv[1], elf) == 0 ? run(elf, &there) : -1;
        unlink(elf);
        printf("here 0x%08X, on the chip 0x%08X\n", here, there);
        return status == 0 && here == there ? 0 : 1;
}
