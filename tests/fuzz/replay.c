/* replay: plays files to a fuzz target, for who has no libFuzzer. Names the one
 * that ends it.
 *
 *     x_replay FILE-OR-FOLDER...
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>

#include "fuzz.h"

enum {
    SECONDS_MAX = 20 /* for one input */
};

int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static long played;
static const char *playing; /* NULL: nothing */

static void
name_it(void)
{
    if (playing == NULL)
        return;
    (void)!write(2, "while playing ", 14);
    (void)!write(2, playing, strlen(playing));
    (void)!write(2, "\n", 1);
}

static void
stop(int sig)
{
    name_it();
    _exit(1);
}

static void
play_file(const char *path)
{
    static char bytes[FUZZ_MAX];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(2);
    }
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    /* In a block of its own size, for ASan. */
    uint8_t *copy = malloc(n + !n);
    CHECK(copy);
    memcpy(copy, bytes, n);
    playing = path;
    alarm(SECONDS_MAX);
    LLVMFuzzerTestOneInput(copy, n);
    alarm(0);
    playing = NULL;
    free(copy);
    played++;
}

static void
play(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL && errno == ENOTDIR) {
        play_file(path);
        return;
    }
    if (dir == NULL) {
        perror(path);
        exit(2);
    }
    for (struct dirent *e; (e = readdir(dir));) {
        char file[4096];
        if (*e->d_name == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        play_file(file);
    }
    closedir(dir);
}

int
main(int argc, char **argv)
{
    atexit(name_it);
    signal(SIGABRT, stop);
    signal(SIGALRM, stop);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(name_it);
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        play(argv[i]);
    printf("%ld inputs\n", played);
    return played == 0;
}
