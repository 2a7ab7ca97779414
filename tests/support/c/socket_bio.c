/* A client with a custom BIO of the type of socket BIOs, as Squid and Envoy have. Arguments: port, number of requests.
 *
 * The BIO keeps its descriptor elsewhere, so that the descriptor field of a socket BIO is 0, and descriptor 0 is the
 * socket of another connection. It requests /small/N from 127.0.0.1 over one connection. Prints and waits as the other
 * programs do.
 */
#include "common.h"

#include <openssl/bio.h>

static int own_write(BIO *bio, const char *bytes, int size) {
    return write((int)(long)BIO_get_data(bio), bytes, size);
}

static int own_read(BIO *bio, char *bytes, int size) {
    return read((int)(long)BIO_get_data(bio), bytes, size);
}

/* Makes a connection to itself descriptor 0. Returns a copy of the former descriptor 0. */
static int occupy_descriptor_0(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof to;
    int listener = socket(AF_INET, SOCK_STREAM, 0), before = dup(0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&to, sizeof to) == 0 && listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&to, &size) == 0, "getsockname");
    check(before > 0 && dup2(connect_to(ntohs(to.sin_port)), 0) == 0, "dup2");
    return before;
}

int main(int argc, char **argv) {
    check(argc == 3, "port, requests");
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    say_up();
    int before = occupy_descriptor_0();
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOCKET, "socket");
    BIO_meth_set_write(method, own_write);
    BIO_meth_set_read(method, own_read);
    BIO_meth_set_ctrl(method, control);
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(context);
    check(bio != NULL && ssl != NULL, "BIO_new");
    BIO_set_data(bio, (void *)(long)connect_to(atoi(argv[1])));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    check(SSL_connect(ssl) == 1, "SSL_connect");
    for (int number = 0; number < atoi(argv[2]); number++) {
        char text[4096];
        int got = 0, size = snprintf(text, sizeof text, "GET /small/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);
        check(SSL_write(ssl, text, size) == size, "SSL_write");
        do {
            int more = SSL_read(ssl, text + got, sizeof text - 1 - got);
            check(more > 0, "SSL_read");
            text[got += more] = 0;
        } while (strstr(text, "\r\n\r\nsmall\n") == NULL);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    check(dup2(before, 0) == 0, "dup2");
    say_done();
    return 0;
}
