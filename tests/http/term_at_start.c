/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into httpd: its first child is told to end where the C library reads the groups of the
 * run user, long before its threads are there. Who then runs through exit() in the signal
 * handler says so.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void say(void)
{
    static const char line[] = "exit() was called in a signal handler\n";

    if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0) {
        abort();
    }
}

int initgroups(const char *user, gid_t group)
{
    int (*real)(const char *, gid_t) = (int (*)(const char *, gid_t))dlsym(RTLD_NEXT, "initgroups");
    const char *once = getenv("HB_TEST_TERM_ONCE");

    if (once != NULL && open(once, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0) {
        atexit(say);
        raise(SIGTERM);
    }
    return real != NULL ? real(user, group) : -1;
}
