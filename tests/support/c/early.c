/* Early data (RFC 8446 section 2.3) between two processes, of which one is traced. Arguments: traced side ("client" or
 * "server"), whether the server accepts early data ("taken" or "refused").
 *
 * The first connection gets a ticket. The second one starts with a request in early data, which the client repeats if
 * it was rejected, and has two more requests. Each response has the path of its request. Prints and waits as the other
 * programs do.
 */
#include "common.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int is_taken;

static int allow(SSL *ssl, void *unused) {
    (void)ssl, (void)unused;
    return is_taken;
}

/* --- the server --- */

static void answer(SSL *ssl, const char *request) {
    char path[64], text[256];
    check(sscanf(request, "GET %63s HTTP", path) == 1, request);
    int size = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: 2\r\n\r\nok", path);
    check(SSL_write(ssl, text, size) == size, "SSL_write");
}

static void serve_one(SSL_CTX *context, int fd, int requests) {
    char early[1024] = "", request[1024];
    size_t count = 0, got = 0;
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_set_fd");
    SSL_set_accept_state(ssl);
    int what;
    while ((what = SSL_read_early_data(ssl, early + got, sizeof early - 1 - got, &count)) == SSL_READ_EARLY_DATA_SUCCESS)
        got += count;
    check(what == SSL_READ_EARLY_DATA_FINISH && SSL_accept(ssl) == 1, "SSL_accept");
    if (got > 0) {
        answer(ssl, early);
        requests--;
    }
    for (; requests > 0; requests--) {
        int size = SSL_read(ssl, request, sizeof request - 1);
        check(size > 0, "SSL_read");
        request[size] = 0;
        answer(ssl, request);
    }
    char byte;
    SSL_read(ssl, &byte, 1);
    SSL_free(ssl);
    close(fd);
}

static void serve(SSL_CTX *context, int first, int second) {
    serve_one(context, first, 1);
    serve_one(context, second, 3);
}

/* --- the client --- */

static int request_for(char *text, size_t room, const char *path) {
    return snprintf(text, room, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
}

static void expect(SSL *ssl, const char *path) {
    char text[1024], wanted[128];
    int size = SSL_read(ssl, text, sizeof text - 1);
    check(size > 0, "SSL_read");
    text[size] = 0;
    snprintf(wanted, sizeof wanted, "X-Path: %s\r\n", path);
    check(strstr(text, wanted) != NULL, text);
}

static void ask(SSL *ssl, const char *path) {
    char text[256];
    int size = request_for(text, sizeof text, path);
    check(SSL_write(ssl, text, size) == size, "SSL_write");
    expect(ssl, path);
}

static SSL *open_on(SSL_CTX *context, int fd) {
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_set_fd");
    return ssl;
}

static void be_client(SSL_CTX *context, int first, int second) {
    char text[256];
    size_t written;
    SSL *ssl = open_on(context, first);
    check(SSL_connect(ssl) == 1, "SSL_connect");
    ask(ssl, "/first");
    SSL_SESSION *session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(first);

    ssl = open_on(context, second);
    check(SSL_set_session(ssl, session) == 1, "SSL_set_session");
    int size = request_for(text, sizeof text, "/early");
    check(SSL_write_early_data(ssl, text, size, &written) == 1, "SSL_write_early_data");
    check(SSL_connect(ssl) == 1, "SSL_connect");
    int status = SSL_get_early_data_status(ssl);
    check(status == (is_taken ? SSL_EARLY_DATA_ACCEPTED : SSL_EARLY_DATA_REJECTED), "early data");
    if (is_taken)
        expect(ssl, "/early");
    else
        ask(ssl, "/early");
    ask(ssl, "/second");
    ask(ssl, "/third");
    SSL_shutdown(ssl);
    SSL_free(ssl);
    SSL_SESSION_free(session);
    close(second);
}

static SSL_CTX *early_context(void) {
    SSL_CTX *context = server_context();
    SSL_CTX_set_options(context, SSL_OP_NO_ANTI_REPLAY);
    SSL_CTX_set_max_early_data(context, 16384);
    SSL_CTX_set_allow_early_data_cb(context, allow, NULL);
    return context;
}

int main(int argc, char **argv) {
    int first[2], second[2];
    check(argc == 3, "side, taken or refused");
    is_taken = strcmp(argv[2], "taken") == 0;
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, first) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, second) == 0, "pair");
    SSL_CTX *server = early_context(), *client = SSL_CTX_new(TLS_client_method());
    int is_client = strcmp(argv[1], "client") == 0;
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(first[0]), close(second[0]);
        if (is_client)
            serve(server, first[1], second[1]);
        else
            be_client(client, first[1], second[1]);
        return 0;
    }
    close(first[1]), close(second[1]);
    say_up();
    if (is_client)
        be_client(client, first[0], second[0]);
    else
        serve(server, first[0], second[0]);
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "the other side");
    say_done();
    return 0;
}
