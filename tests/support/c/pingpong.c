// Both ends of a connection over TCP on 127.0.0.1, in one thread, that speak a protocol that is not HTTP. For each line on stdin,
// which is a number of round trips, opens a connection, makes as many, and prints how many nanoseconds of CPU time each took. One
// thread, because what it takes to wake another one differs more than what is measured.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
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

static void transfer(int from, int to, const char *bytes, size_t size) {
    char room[64];
    check(write(from, bytes, size) == (ssize_t)size, "write");
    check(recv(to, room, size, MSG_WAITALL) == (ssize_t)size, "recv");
}

static uint64_t cpu_ns(void) {
    struct timespec time;
    check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0, "clock_gettime");
    return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int without_delay(int connection) {
    int on = 1;
    check(setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "setsockopt");
    return connection;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&address, size) == 0, "bind");
    check(listen(listener, 8) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    puts("up");
    fflush(stdout);
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        long rounds = atol(line);
        int client = without_delay(socket(AF_INET, SOCK_STREAM, 0));
        check(connect(client, (struct sockaddr *)&address, size) == 0, "connect");
        int server = without_delay(accept(listener, NULL, NULL));
        uint64_t before = cpu_ns();
        for (long round = 0; round < rounds; round++) {
            transfer(client, server, QUESTION, sizeof QUESTION - 1);
            transfer(server, client, ANSWER, sizeof ANSWER - 1);
        }
        uint64_t took = cpu_ns() - before;
        close(client);
        close(server);
        printf("ns %lu\n", rounds > 0 ? took / rounds : 0);
        fflush(stdout);
    }
    return 0;
}
