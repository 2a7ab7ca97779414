/* A program with a fake OpenSSL: functions with the same names and results, but without a network. Arguments: way,
 * rounds. It reads a request in each round, and writes a response:
 *
 *   sendfile     the head by SSL_write, the 700 bytes of the body by SSL_sendfile
 *   unreadable   the head in three pieces; the count of the second is not readable when its call returns
 *   lie          as before, but the count exceeds the length of the call
 *   nested       as before, but the count exceeds that of a call nested in it
 *
 * Prints and waits as the other programs do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PUBLIC __attribute__((noinline, used, visibility("default")))

typedef struct {
    char room[4096];
} SSL;

/* The version by which tlscope recognises the library. */
PUBLIC const char *OpenSSL_version(int what) {
    return what == 0 ? "OpenSSL 3.0.19 27 Jan 2026" : "";
}

static char incoming[256];
static const char *way;
static int is_second;

PUBLIC void SSL_clear(SSL *ssl) {
    ssl->room[4000] = 0;
}

PUBLIC int SSL_do_handshake(SSL *ssl) {
    SSL_clear(ssl);
    return ssl->room[4000] == 0;
}

PUBLIC void SSL_free(SSL *ssl) {
    ssl->room[4000] = 1;
}

PUBLIC int SSL_read(SSL *ssl, void *buffer, int size) {
    int length = strlen(incoming);
    ssl->room[4001]++;
    if (length > size)
        length = size;
    memcpy(buffer, incoming, length);
    return length;
}

PUBLIC int SSL_write(SSL *ssl, const void *buffer, int size) {
    ssl->room[4002] += ((const char *)buffer)[0];
    return size;
}

PUBLIC int SSL_write_ex(SSL *ssl, const void *buffer, size_t size, size_t *count) {
    if (is_second && strcmp(way, "nested") == 0) {
        SSL_write(ssl, buffer, size - 4);
        *count = size;
    } else if (is_second && strcmp(way, "lie") == 0) {
        *count = size + 100;
    } else {
        *count = size;
    }
    if (is_second && strcmp(way, "unreadable") == 0 && mprotect(count, 4096, PROT_NONE) != 0)
        return 0;
    return 1;
}

PUBLIC long SSL_sendfile(SSL *ssl, int fd, long offset, size_t size, int flags) {
    ssl->room[4003] += fd + offset + flags;
    return size;
}

static void write_text(SSL *ssl, const char *text, size_t *count) {
    if (SSL_write_ex(ssl, text, strlen(text), count) != 1)
        exit(1);
}

static void answer(SSL *ssl, size_t *count) {
    if (strcmp(way, "sendfile") == 0) {
        const char *head = "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n";
        if (SSL_write(ssl, head, strlen(head)) <= 0 || SSL_sendfile(ssl, 0, 0, 300, 0) != 300 ||
            SSL_sendfile(ssl, 0, 300, 400, 0) != 400)
            exit(1);
        return;
    }
    write_text(ssl, "HTTP/1.1 200 OK\r\nX-Account: al", count);
    is_second = 1;
    write_text(ssl, "ice\r\nX-Role: ", count);
    is_second = 0;
    mprotect(count, 4096, PROT_READ | PROT_WRITE);
    write_text(ssl, "admin\r\nContent-Length: 0\r\n\r\n", count);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    way = argv[1];
    size_t *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SSL *ssl = calloc(1, sizeof *ssl);
    char request[256];
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts(*OpenSSL_version(0) ? "up" : "");
    getchar();
    SSL_do_handshake(ssl);
    for (int round = 0; round < atoi(argv[2]); round++) {
        snprintf(incoming, sizeof incoming, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", round);
        SSL_read(ssl, request, sizeof request);
        answer(ssl, count);
    }
    SSL_free(ssl);
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
