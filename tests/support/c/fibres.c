/* Coroutines that change stacks within calls of OpenSSL, as those of Crystal, Photon and brpc do. Arguments: number of
 * connections, requests on each.
 *
 * Both sides have a BIO of their own. If the socket is not ready, it changes to the stack of the scheduler, so that calls
 * of several connections are under way in one thread, and return in the order in which they began. A child answers the
 * requests of this process, /small/N, with 6 bytes. Each side ends a connection after 1,000 requests. Prints and waits
 * as the other programs do.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>

enum { MOST = 64, STACK = 256 * 1024, REQUESTS_PER_CONNECTION = 1000 };

/* --- the scheduler --- */

struct fibre {
    ucontext_t context;
    void (*work)(int number);
    int number, is_alive;
};

static struct fibre fibres[MOST];
static struct pollfd waits[MOST];
static ucontext_t scheduler;
static int current;

static void run_fibre(void) {
    fibres[current].work(fibres[current].number);
    fibres[current].is_alive = 0;
    waits[current].fd = -1;
}

static struct fibre *unused(void) {
    int at = 0;
    while (fibres[at].is_alive)
        check(++at < MOST, "too many coroutines");
    waits[at] = (struct pollfd){.fd = -1};
    return &fibres[at];
}

static void start(void (*work)(int), int number) {
    struct fibre *const fibre = unused();
    stack_t *const stack = &fibre->context.uc_stack;
    void *memory = stack->ss_sp != NULL ? stack->ss_sp : malloc(STACK);
    check(memory != NULL && getcontext(&fibre->context) == 0, "getcontext");
    *stack = (stack_t){.ss_sp = memory, .ss_size = STACK};
    fibre->context.uc_link = &scheduler;
    fibre->work = work;
    fibre->number = number;
    fibre->is_alive = 1;
    makecontext(&fibre->context, run_fibre, 0);
}

/* Changes to the stack of the scheduler until the descriptor is ready. */
static void wait_for(int fd, short events) {
    waits[current] = (struct pollfd){.fd = fd, .events = events};
    check(swapcontext(&fibres[current].context, &scheduler) == 0, "swapcontext");
}

/* Runs the coroutines until all have ended. */
static void schedule(void) {
    for (int alive = 1; alive > 0;) {
        int new = 0;
        alive = 0;
        for (int at = 0; at < MOST; at++)
            new += fibres[at].is_alive && waits[at].fd < 0;
        check(poll(waits, MOST, new > 0 ? 0 : -1) >= 0, "poll");
        for (current = 0; current < MOST; current++)
            if (fibres[current].is_alive && (waits[current].fd < 0 || waits[current].revents != 0))
                check(swapcontext(&scheduler, &fibres[current].context) == 0, "swapcontext");
        for (int at = 0; at < MOST; at++)
            alive += fibres[at].is_alive;
    }
}

/* --- the BIO --- */

static int is_blocked(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS;
}

static int read_or_wait(BIO *bio, char *bytes, int size) {
    int fd = (int)(long)BIO_get_data(bio), got;
    while ((got = recv(fd, bytes, size, 0)) < 0 && is_blocked())
        wait_for(fd, POLLIN);
    return got;
}

static int write_or_wait(BIO *bio, const char *bytes, int size) {
    int fd = (int)(long)BIO_get_data(bio), sent;
    while ((sent = send(fd, bytes, size, MSG_NOSIGNAL)) < 0 && is_blocked())
        wait_for(fd, POLLOUT);
    return sent;
}

static SSL *open_on(SSL_CTX *context, int fd) {
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fibres");
        BIO_meth_set_write(method, write_or_wait);
        BIO_meth_set_read(method, read_or_wait);
        BIO_meth_set_ctrl(method, control);
    }
    check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(context);
    check(bio != NULL && ssl != NULL, "BIO_new");
    BIO_set_data(bio, (void *)(long)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

/* --- both sides --- */

static SSL_CTX *context;
static int listener, requests, connections;

static int least(int one, int other) {
    return one < other ? one : other;
}

/* The number of requests is that of the client, which ends the connection. */
static void serve(int fd) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsmall\n";
    char request[1024];
    SSL *ssl = open_on(context, fd);
    check(SSL_accept(ssl) == 1, "SSL_accept");
    while (SSL_read(ssl, request, sizeof request) > 0)
        check(SSL_write(ssl, answer, sizeof answer - 1) == sizeof answer - 1, "SSL_write");
    SSL_free(ssl);
    close(fd);
}

static void accept_all(int count) {
    for (; count > 0; count--) {
        int fd;
        while ((fd = accept(listener, NULL, NULL)) < 0 && is_blocked())
            wait_for(listener, POLLIN);
        check(fd >= 0, "accept");
        start(serve, fd);
    }
}

static void ask(SSL *ssl, int fibre, int number) {
    char text[1024];
    int size = snprintf(text, sizeof text, "GET /small/%d HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %d-%d\r\n\r\n",
                        number, fibre, number);
    check(SSL_write(ssl, text, size) == size, "SSL_write");
    int got = SSL_read(ssl, text, sizeof text - 1);
    check(got > 0, "SSL_read");
    text[got] = 0;
    check(strstr(text, "\r\n\r\nsmall\n") != NULL, text);
}

static void ask_all(int fibre) {
    struct sockaddr_in to;
    socklen_t size = sizeof to;
    check(getsockname(listener, (struct sockaddr *)&to, &size) == 0, "getsockname");
    for (int number = 0; number < requests;) {
        int fd = connect_to(ntohs(to.sin_port)), end = least(number + REQUESTS_PER_CONNECTION, requests);
        SSL *ssl = open_on(context, fd);
        check(SSL_connect(ssl) == 1, "SSL_connect");
        for (; number < end; number++)
            ask(ssl, fibre, number);
        SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
}

static void be_server(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    context = server_context();
    int each = (requests + REQUESTS_PER_CONNECTION - 1) / REQUESTS_PER_CONNECTION;
    check(fcntl(listener, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    start(accept_all, connections * each);
    schedule();
}

int main(int argc, char **argv) {
    check(argc == 3, "connections, requests on each");
    connections = atoi(argv[1]);
    requests = atoi(argv[2]);
    listener = listen_on_loopback();
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        be_server();
        return 0;
    }
    context = SSL_CTX_new(TLS_client_method());
    say_up();
    for (int fibre = 0; fibre < connections; fibre++)
        start(ask_all, fibre);
    schedule();
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "the server");
    say_done();
    return 0;
}
