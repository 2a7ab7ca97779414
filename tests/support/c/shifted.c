/* A program with the library of fixtures/elf/delivery.c, whose tap is wrong though its code proves it: the memcpy that the
 * library calls is this program's, and copies what is eight bytes behind what it is given. Argument: rounds. It reads a
 * request in each round, and writes a response.
 *
 * Prints and waits as the other programs do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT 8

/* As in the library. */
struct record {
    unsigned type;
    unsigned long length, offset;
    unsigned char *data;
};
struct ssl {
    int version;
    const void *method;
    int waiting;
    struct record record[4];
    unsigned long records;
    unsigned char fragment[4];
    unsigned long fragments;
    void *last;
    int deferred;
};

extern const void *TLS_method(void);
extern int SSL_read(struct ssl *ssl, void *buffer, int bytes);
extern int SSL_write(struct ssl *ssl, const void *buffer, int bytes);

static unsigned char incoming[256];

__attribute__((visibility("default"))) void *memcpy(void *to, const void *from, size_t bytes) {
    const unsigned char *source = from;
    if (source >= incoming && source < incoming + sizeof incoming)
        source += SHIFT;
    for (size_t at = 0; at < bytes; at++)
        ((volatile unsigned char *)to)[at] = source[at];
    return to;
}

/* What the library asks of others. */
void ERR_new(void) {}
int receive(struct ssl *ssl) { return ssl->waiting; }
int start(void *arguments, int (*function)(void *arguments)) { return function(arguments); }

int main(int argc, char **argv) {
    const char *response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (argc != 2)
        return 2;
    struct ssl ssl = {.version = 0x304, .method = TLS_method(), .records = 1};
    char request[sizeof incoming], expected[sizeof incoming];
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
    for (int round = 0; round < atoi(argv[1]); round++) {
        int length = snprintf(expected, sizeof expected, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", round);
        memset(incoming, 'x', SHIFT);
        memmove(incoming + SHIFT, expected, length);
        ssl.record[0] = (struct record){.type = 0x17, .length = length, .data = incoming};
        if (SSL_read(&ssl, request, sizeof request) != length || memcmp(request, expected, length) != 0 ||
            SSL_write(&ssl, response, strlen(response)) <= 0)
            return 1;
    }
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
