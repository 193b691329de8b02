/* untie COMMAND [ARGUMENT...]: gives up the session's terminal and runs the command in its place, so that a session in a
 * user namespace can take the terminal over: only root of the host takes it from a session that has it (ioctl_tty(2)). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void pass_over(int number) { (void)number; }

int main(int words, char **word) {
    if (words < 2) {
        fputs("usage: untie COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    signal(SIGHUP, pass_over); /* the kernel sends it to those that lose the terminal */
    if (ioctl(STDIN_FILENO, TIOCNOTTY)) {
        fprintf(stderr, "untie: %s\n", strerror(errno));
        return 1;
    }
    signal(SIGHUP, SIG_DFL);
    execvp(word[1], word + 1);
    fprintf(stderr, "untie: %s: %s\n", word[1], strerror(errno));
    return 127;
}
