/* A client that uses libcurl's build for NSS. Arguments: port, number of requests.
 *
 * It sends GET /small/N; of each hundred requests one is PUT /upload/N with BODY bytes, and one GET /large/N. It prints "up"
 * when the tracer can attach, starts at a line on stdin, prints "done" after its last response, and ends at the end of stdin.
 * Debian has no headers of this build beside those of another one, so what is used of them is declared here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Curl Curl;
extern Curl *curl_easy_init(void);
extern int curl_easy_setopt(Curl *, int, ...);
extern int curl_easy_perform(Curl *);
extern void curl_easy_cleanup(Curl *);

/* Of curl/curl.h. */
enum {
    FAILONERROR = 45,
    UPLOAD = 46,
    HTTPGET = 80,
    SSL_VERIFYPEER = 64,
    SSL_VERIFYHOST = 81,
    HTTP_VERSION = 84,
    URL = 10002,
    READDATA = 10009,
    WRITEFUNCTION = 20011,
    READFUNCTION = 20012,
    INFILESIZE_LARGE = 30115,
    HTTP_1_1 = 2
};

enum { BODY = 1024 * 1024 + 3 };

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static size_t discard(char *bytes, size_t size, size_t count, void *to) {
    (void)bytes, (void)to;
    return size * count;
}

static size_t give(char *bytes, size_t size, size_t count, void *from) {
    size_t *left = from, given = size * count < *left ? size * count : *left;
    memset(bytes, 'u', given);
    *left -= given;
    return given;
}

int main(int argc, char **argv) {
    check(argc == 3, "port, requests");
    int requests = atoi(argv[2]);
    Curl *curl = curl_easy_init();
    check(curl != NULL, "curl_easy_init");
    curl_easy_setopt(curl, FAILONERROR, 1L);
    curl_easy_setopt(curl, SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, HTTP_VERSION, (long)HTTP_1_1);
    curl_easy_setopt(curl, WRITEFUNCTION, discard);
    curl_easy_setopt(curl, READFUNCTION, give);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
    for (int number = 0; number < requests; number++) {
        char url[128];
        size_t left = BODY;
        const char *path = number % 100 == 50 ? "upload" : number % 100 == 75 ? "large" : "small";
        snprintf(url, sizeof url, "https://127.0.0.1:%s/%s/%d", argv[1], path, number);
        curl_easy_setopt(curl, URL, url);
        if (number % 100 == 50) {
            curl_easy_setopt(curl, UPLOAD, 1L);
            curl_easy_setopt(curl, READDATA, &left);
            curl_easy_setopt(curl, INFILESIZE_LARGE, (long long)BODY);
        } else {
            curl_easy_setopt(curl, HTTPGET, 1L);
        }
        check(curl_easy_perform(curl) == 0, url);
    }
    curl_easy_cleanup(curl);
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
