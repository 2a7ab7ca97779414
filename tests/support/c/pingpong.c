// A client and a server of a protocol that is not HTTP, over TCP on 127.0.0.1. For each line on stdin, which is a number of round
// trips, opens a connection, makes as many, and prints how many nanoseconds of CPU time each took, both ends together.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char QUESTION[] = "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n";
static const char ANSWER[] = "$5\r\nvalue\r\n";

static void check(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static void transfer(int from, const char *bytes, size_t size, int to) {
    char room[64];
    if (from >= 0) check(recv(from, room, size, MSG_WAITALL) == (ssize_t)size, "recv");
    if (to >= 0) check(write(to, bytes, size) == (ssize_t)size, "write");
}

static uint64_t cpu_ns(clockid_t clock) {
    struct timespec time;
    check(clock_gettime(clock, &time) == 0, "clock_gettime");
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int without_delay(int connection) {
    int on = 1;
    check(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "setsockopt");
    return connection;
}

static void serve(int listener) {
    for (;;) {
        int connection = without_delay(accept(listener, NULL, NULL));
        char room[sizeof QUESTION];
        while (recv(connection, room, sizeof QUESTION - 1, MSG_WAITALL) > 0)
            transfer(-1, ANSWER, sizeof ANSWER - 1, connection);
        close(connection);
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    check(listen(listener, 8) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    pid_t server = fork();
    if (server == 0) serve(listener);
    clockid_t clock;
    check(clock_getcpuclockid(server, &clock) == 0, "clock_getcpuclockid");
    puts("up");
    fflush(stdout);
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        long rounds = atol(line);
        int connection = without_delay(socket(AF_INET, SOCK_STREAM, 0));
        check(connect(connection, (struct sockaddr *)&address, size) == 0, "connect");
        uint64_t before = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns(clock);
        for (long round = 0; round < rounds; round++) {
            transfer(-1, QUESTION, sizeof QUESTION - 1, connection);
            transfer(connection, NULL, sizeof ANSWER - 1, -1);
        }
        uint64_t took = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns(clock) - before;
        close(connection);
        printf("ns %lu\n", rounds > 0 ? took / rounds : 0);
        fflush(stdout);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return 0;
}
