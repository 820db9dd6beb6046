/* SPDX-License-Identifier: MIT */

/* Runs every file of the given directories through a fuzz target without a fuzzer, so that what was ever
 * found stays found with any compiler. Fails if there is no file: an empty corpus proves nothing. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path) {
        FILE *file = fopen(path, "rb");
        uint8_t *data;
        struct stat st;

        if (!file || fstat(fileno(file), &st) < 0) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        data = malloc((size_t)st.st_size + 1); /* an empty file is a case too */
        if (!data || fread(data, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        fclose(file);
        (void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
        free(data);
}

static unsigned replay_directory(const char *path) {
        struct dirent *entry;
        unsigned files = 0;
        DIR *directory = opendir(path);

        if (!directory) {
                perror(path);
                exit(EXIT_FAILURE);
        }
        while ((entry = readdir(directory))) {
                char name[4096];

                if (entry->d_name[0] == '.')
                        continue;
                if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= (int)sizeof(name))
                        exit(EXIT_FAILURE);
                replay_file(name);
                files++;
        }
        closedir(directory);
        return files;
}

int main(int argc, char *argv[]) {
        unsigned files = 0;

        for (int i = 1; i < argc; i++)
                files += replay_directory(argv[i]);
        printf("%u files\n", files);
        return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
