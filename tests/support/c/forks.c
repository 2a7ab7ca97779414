/* A parent with children that use TLS. Argument: port. It prints "up", executes the commands on stdin, and prints "did"
 * and the command after each.
 *
 *   ask COUNT                 requests /small/parent-N from 127.0.0.1 itself, each on a new connection
 *   fork COUNT EVERY DEPTH    forks COUNT children, a few at a time; one in EVERY requests /small/child-N at once; with a
 *                             DEPTH of 2, a child of that child does
 *   exec COUNT                runs curl COUNT times, which requests /small/exec-N
 *   filter                    is under a seccomp filter from now on, with its later children, that kills at system call 335:
 *                             that of return probes on x86-64
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 8 };

extern char **environ;
static int port, forked, asked, started;
static SSL_CTX *context;

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "forks.c: %s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static void ask(const char *who, int number) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1, "SSL_connect");
    char text[4096];
    int size = snprintf(text, sizeof text, "GET /small/%s-%d HTTP/1.1\r\nHost: localhost\r\n\r\n", who, number);
    check(SSL_write(ssl, text, size) == size, "SSL_write");
    int got = 0;
    do {
        int more = SSL_read(ssl, text + got, sizeof text - 1 - got);
        check(more > 0, "SSL_read");
        got += more;
        text[got] = 0;
    } while (strstr(text, "\r\n\r\nsmall\n") == NULL);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

static void wait_for_child(void) {
    int status;
    check(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed");
}

static void be_child(int number, int depth) {
    for (; depth > 1; depth--) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child > 0) {
            wait_for_child();
            _exit(0);
        }
    }
    ask("child", number);
    _exit(0);
}

static void fork_children(int count, int every, int depth) {
    for (int child = 0; child < count; child++) {
        if (child >= AT_ONCE)
            wait_for_child();
        pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid == 0 && forked % every != 0)
            _exit(0);
        if (pid == 0)
            be_child(forked, depth);
        forked++;
    }
    for (int left = count < AT_ONCE ? count : AT_ONCE; left > 0; left--)
        wait_for_child();
}

static void start_curl(void) {
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d/small/exec-%d", port, started++);
    char *words[] = {"curl", "--http1.1", "-sSkfo", "/dev/null", url, NULL};
    check(posix_spawnp(NULL, "curl", NULL, NULL, words, environ) == 0, "posix_spawnp");
    wait_for_child();
}

static void filter(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 335, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof *rules, .filter = rules};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "a filter");
}

int main(int argc, char **argv) {
    char line[128];
    int times, every, depth;
    check(argc == 2, "port");
    port = atoi(argv[1]);
    context = SSL_CTX_new(TLS_client_method());
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "fork %d %d %d", &times, &every, &depth) == 3)
            fork_children(times, every, depth);
        else if (sscanf(line, "ask %d", &times) == 1)
            for (int number = 0; number < times; number++)
                ask("parent", asked++);
        else if (sscanf(line, "exec %d", &times) == 1)
            for (int number = 0; number < times; number++)
                start_curl();
        else if (strcmp(line, "filter\n") == 0)
            filter();
        else
            check(0, line);
        printf("did %s", line);
    }
    return 0;
}
