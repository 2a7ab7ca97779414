/* A client whose image holds two TLS libraries. Words: port, connections, requests.
 *
 * Opens pairs of connections to 127.0.0.1, one with OpenSSL and one with GnuTLS, and asks for /small/openssl-N on the
 * one and for /small/gnutls-N on the other in turn. Prints "up" when it can be attached to, begins at a line on stdin,
 * prints "done" after its last answer, and ends with stdin.
 */
#include "common.h"
#include <gnutls/gnutls.h>

static SSL_CTX *context;
static gnutls_certificate_credentials_t credentials;

struct pair {
    SSL *openssl;
    gnutls_session_t gnutls;
    int fds[2];
};

static SSL *open_openssl(int fd) {
    SSL *made = SSL_new(context);
    check(made != NULL && SSL_set_fd(made, fd) == 1 && SSL_connect(made) == 1, "SSL_connect");
    return made;
}

static gnutls_session_t open_gnutls(int fd) {
    gnutls_session_t made;
    int failed;
    check(gnutls_init(&made, GNUTLS_CLIENT) == 0 && gnutls_set_default_priority(made) == 0, "gnutls_init");
    check(gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials) == 0, "gnutls_credentials_set");
    gnutls_transport_set_int(made, fd);
    do
        failed = gnutls_handshake(made);
    while (failed < 0 && !gnutls_error_is_fatal(failed));
    check(failed == 0, "gnutls_handshake");
    return made;
}

static struct pair open_pair(int port) {
    struct pair made = {.fds = {connect_to(port), connect_to(port)}};
    made.openssl = open_openssl(made.fds[0]);
    made.gnutls = open_gnutls(made.fds[1]);
    return made;
}

static void close_pair(struct pair *pair) {
    SSL_shutdown(pair->openssl);
    SSL_free(pair->openssl);
    gnutls_bye(pair->gnutls, GNUTLS_SHUT_WR);
    gnutls_deinit(pair->gnutls);
    close(pair->fds[0]);
    close(pair->fds[1]);
}

static long give(struct pair *pair, int by_gnutls, const char *bytes, int size) {
    return by_gnutls ? gnutls_record_send(pair->gnutls, bytes, size) : SSL_write(pair->openssl, bytes, size);
}

/* What came is a session ticket, and no data, where GnuTLS says that the call is to be repeated. */
static long take(struct pair *pair, int by_gnutls, char *bytes, int size) {
    long got;
    do
        got = by_gnutls ? gnutls_record_recv(pair->gnutls, bytes, size) : SSL_read(pair->openssl, bytes, size);
    while (by_gnutls && (got == GNUTLS_E_AGAIN || got == GNUTLS_E_INTERRUPTED));
    return got;
}

static void ask(struct pair *pair, int by_gnutls, int number) {
    char request[256], answer[4096], *end;
    int size = snprintf(request, sizeof request, "GET /small/%s-%d HTTP/1.1\r\nHost: localhost\r\n\r\n",
                        by_gnutls ? "gnutls" : "openssl", number);
    check(give(pair, by_gnutls, request, size) == size, "write");
    long got = 0;
    do {
        long more = take(pair, by_gnutls, answer + got, sizeof answer - 1 - got);
        check(more > 0, "read");
        answer[got += more] = 0;
        end = strstr(answer, "\r\n\r\n");
    } while (end == NULL || strlen(end + 4) < strlen("small\n"));
    check(strncmp(answer, "HTTP/1.1 200", 12) == 0 && strcmp(end + 4, "small\n") == 0, answer);
}

int main(int count, char **words) {
    check(count == 4, "port, connections, requests");
    int port = atoi(words[1]), connections = atoi(words[2]), requests = atoi(words[3]);
    context = SSL_CTX_new(TLS_client_method());
    check(gnutls_certificate_allocate_credentials(&credentials) == 0, "credentials");
    say_up();
    for (int connection = 0; connection < connections; connection++) {
        struct pair pair = open_pair(port);
        for (int number = 0; number < requests; number++) {
            ask(&pair, 0, connection * requests + number);
            ask(&pair, 1, connection * requests + number);
        }
        close_pair(&pair);
    }
    say_done();
    return 0;
}
