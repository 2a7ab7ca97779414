/* Ends that leave a TLS call open. It prints "up", then does what each line on stdin says, and prints "did" and that line.
 *
 *   kill COUNT      forks COUNT children, a few at a time, each of which is killed inside its first SSL_read
 *   cancel COUNT    begins COUNT threads, and cancels them all inside their first SSL_read
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 32, THREADS = 256 };

static SSL_CTX *context;

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "deaths.c: %s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

/* Blocks: nobody answers the hello that it begins with. */
static void read_forever(int fd) {
    char byte;
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_set_fd");
    SSL_set_connect_state(ssl);
    SSL_read(ssl, &byte, 1);
    check(0, "SSL_read returned");
}

static void *reader(void *fd) {
    read_forever((int)(long)fd);
    return NULL;
}

/* Waits until whoever has the other end is inside its SSL_read. */
static void wait_for_hello(int fd) {
    char byte;
    check(read(fd, &byte, 1) == 1, "hello");
}

static void kill_children(int count) {
    while (count > 0) {
        int some = count < AT_ONCE ? count : AT_ONCE, pairs[AT_ONCE][2];
        pid_t children[AT_ONCE];
        for (int child = 0; child < some; child++) {
            check(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[child]) == 0, "socketpair");
            children[child] = fork();
            check(children[child] >= 0, "fork");
            if (children[child] == 0)
                read_forever(pairs[child][1]);
        }
        for (int child = 0; child < some; child++) {
            wait_for_hello(pairs[child][0]);
            check(kill(children[child], SIGKILL) == 0, "kill");
            check(waitpid(children[child], NULL, 0) == children[child], "waitpid");
            close(pairs[child][0]);
            close(pairs[child][1]);
        }
        count -= some;
    }
}

static void cancel_threads(int count) {
    static pthread_t threads[THREADS];
    static int pairs[THREADS][2];
    check(count <= THREADS, "too many threads");
    for (int thread = 0; thread < count; thread++) {
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[thread]) == 0, "socketpair");
        check(pthread_create(&threads[thread], NULL, reader, (void *)(long)pairs[thread][1]) == 0, "pthread_create");
    }
    for (int thread = 0; thread < count; thread++)
        wait_for_hello(pairs[thread][0]);
    for (int thread = 0; thread < count; thread++) {
        check(pthread_cancel(threads[thread]) == 0, "pthread_cancel");
        check(pthread_join(threads[thread], NULL) == 0, "pthread_join");
    }
}

int main(void) {
    char line[128];
    int count;
    context = SSL_CTX_new(TLS_client_method());
    check(context != NULL, "SSL_CTX_new");
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "kill %d", &count) == 1)
            kill_children(count);
        else if (sscanf(line, "cancel %d", &count) == 1)
            cancel_threads(count);
        else
            check(0, line);
        printf("did %s", line);
    }
    return 0;
}
