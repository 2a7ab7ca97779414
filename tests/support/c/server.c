/* A server of HTTP/1.1 over TLS, one connection at a time.
 *
 * Prints "port N" and "up", serves from a line on stdin on, and ends with stdin. Each request that has no body gets a response
 * with its path. Every second connection is served with the calls that store how many bytes they moved.
 */
#include "common.h"

#include <poll.h>
#include <signal.h>

static int take(SSL *ssl, int counts, char *bytes, int room) {
    size_t got = 0;
    if (counts)
        return SSL_read_ex(ssl, bytes, room, &got) == 1 ? (int)got : 0;
    return SSL_read(ssl, bytes, room);
}

static int give(SSL *ssl, int counts, const char *bytes, int size) {
    size_t written = 0;
    if (counts)
        return SSL_write_ex(ssl, bytes, size, &written) == 1 ? (int)written : 0;
    return SSL_write(ssl, bytes, size);
}

static void serve(SSL_CTX *context, int fd, int counts) {
    char request[4096], path[64], response[256];
    int size;
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1, "SSL_accept");
    while ((size = take(ssl, counts, request, sizeof request - 1)) > 0) {
        request[size] = 0;
        check(strstr(request, "\r\n\r\n") != NULL && sscanf(request, "%*s %63s HTTP", path) == 1, request);
        size = snprintf(response, sizeof response, "HTTP/1.1 200 OK\r\nX-Path: %s\r\nContent-Length: 2\r\n\r\nok", path);
        check(give(ssl, counts, response, size) == size, "SSL_write");
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

int main(void) {
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    int listener = listen_on_loopback();
    SSL_CTX *context = server_context();
    signal(SIGPIPE, SIG_IGN);
    check(getsockname(listener, (struct sockaddr *)&own, &size) == 0, "getsockname");
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("port %d\n", ntohs(own.sin_port));
    say_up();
    /* The end of stdin is reported unasked. What is left of its first line is not read. */
    struct pollfd ready[] = {{.fd = STDIN_FILENO}, {.fd = listener, .events = POLLIN}};
    for (int counts = 0;; counts = !counts) {
        check(poll(ready, 2, -1) > 0, "poll");
        if (ready[0].revents & POLLHUP)
            return 0;
        serve(context, accept(listener, NULL, NULL), counts);
    }
}
