/* A library for LD_PRELOAD: login(1) ends with the status of the shell that it started, as ssh(1) does. Without it,
 * util-linux's login waits for its child with wait(3) and then always ends with 0 (login.c, fork_session). */
#include <sys/wait.h>
#include <unistd.h>

static int ended, shell_status;

pid_t wait(int *status)
{
    int found = 0;
    pid_t child = waitpid(-1, &found, 0);
    if (child > 0) {
        ended = 1;
        shell_status = found;
        if (status)
            *status = found;
    }
    return child;
}

/* Runs last in exit(3), after the streams are closed. */
__attribute__((destructor)) static void leave(void)
{
    if (ended)
        _exit(WIFSIGNALED(shell_status) ? 128 + WTERMSIG(shell_status) : WEXITSTATUS(shell_status));
}
