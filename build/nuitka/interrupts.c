/* A Ctrl-C in the first moments of the program is held back until it can simply end it. In Python's own way it is an
   exception in the midst of what Nuitka and Python do before our first line, which neither is ready for: the program
   crashes, or goes on as if nothing had been. ccrouter/__main__.py lets it through.

   dist-scripts/build hands this file to Nuitka through plugin.py. */

#if !defined(_WIN32)

#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <stddef.h>

__attribute__((constructor)) static void hold_interrupts(void) {
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupts, NULL);
}

#endif
