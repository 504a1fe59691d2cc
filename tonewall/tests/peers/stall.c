/* Stops one thread for a while, and no other of its process: stall THREAD MILLISECONDS. Says when it has stopped. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count != 3)
        return 2;
    pid_t thread = atoi(words[1]);
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) || ptrace(PTRACE_INTERRUPT, thread, 0, 0)) {
        perror("ptrace");
        return 1;
    }
    int status;
    if (waitpid(thread, &status, __WALL) != thread) {
        perror("waitpid");
        return 1;
    }
    puts("stopped");
    fflush(stdout);
    usleep(1000 * atoi(words[2]));
    if (ptrace(PTRACE_DETACH, thread, 0, 0)) {
        perror("ptrace");
        return 1;
    }
    return 0;
}
