/* How the one file starts the program on Linux and macOS, where Nuitka's bootstrap does it another way.

   Nuitka's bootstrap unpacks, forks, and stays as the parent of the program: it turns SIGTERM into SIGINT, hides
   who started us from --exit-with-parent, leaves an orphan when it is killed, and costs 4.5 MB. It calls fork and
   sigaction for nothing else. Defined here, they are linked in the C library's place, and the bootstrap becomes the
   program: one process, whose id, signals, parent and exit code are what they seem.

   dist-scripts/build hands this file to Nuitka through plugin.py; only the bootstrap has it, not the program. */

#if !defined(_WIN32)

/* Nuitka compiles as strict C11, which hides what is not in that standard. */
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#include <stdint.h>
#endif

/* "You are the child": whoever calls this goes on with execv. */
pid_t fork(void) {
    /* Only a program below a bootstrap needs these; left in, each command that ccrouter starts had them too. */
    unsetenv("NUITKA_ONEFILE_DIRECTORY");
    unsetenv("NUITKA_ONEFILE_PARENT");
    unsetenv("NUITKA_ONEFILE_START");
    unsetenv("NUITKA_ONEFILE_TIME_US");
    unsetenv("NUITKA_ONEFILE_RANDOM");
    return 0;
}

/* Signals stay as we got them, since an ignored one (nohup, a job of a script) must stay ignored through execv. */
int sigaction(int number, const struct sigaction *action, struct sigaction *before) {
    (void)number;
    (void)action;
    (void)before;
    return 0;
}

/* The bootstrap ends only by becoming the program, or after an error of which it has told no more than what the
   system calls it. */
static void explain(void) {
    fputs("ccrouter: this program unpacks itself, once, to ccrouter/ in $XDG_CACHE_HOME or ~/.cache, and cannot do so "
          "or may not run there: set XDG_CACHE_HOME to a folder where it can, or use the build that is a folder\n",
          stderr);
}

/* Whether there is a folder to unpack to. Nuitka's bootstrap goes by the same, but aborts without a word of help
   where there is none, and takes an empty or relative HOME for the root or the working folder. */
static int has_cache(void) {
    const char *cache = getenv("XDG_CACHE_HOME");
    if (cache != NULL && cache[0] == '/') {
        return 1;
    }
    const char *home = getenv("HOME");
    if (home == NULL) {
        const struct passwd *user = getpwuid(getuid());
        home = user == NULL ? "" : user->pw_dir;
    }
    return home[0] == '/';
}

/* Before main(): two that unpack at once would write the same files, one under the other's feet. The lock is on
   the one file itself and ends by execv. Where it can't be had (some network file systems) we go on without. */
__attribute__((constructor)) static void prepare(void) {
    atexit(explain);
    if (!has_cache()) {
        fputs("Error, neither XDG_CACHE_HOME nor HOME is set to an absolute path.\n", stderr);
        exit(2);
    }
#if defined(__APPLE__)
    char path[4096];
    uint32_t size = sizeof path;
    if (_NSGetExecutablePath(path, &size) != 0) {
        return;
    }
#else
    const char *path = "/proc/self/exe";
#endif
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        flock(file, LOCK_EX);
    }
}

#endif
