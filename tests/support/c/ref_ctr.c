/* Holds a uprobe with a ref_ctr_offset, as bcc's Python binding does with a random one. Arguments: file, offset. It is for this
 * process alone, which does not map the file, so that nothing is written to any process. */

#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits 32 to 63 of config are the offset (PERF_UPROBE_REF_CTR_OFFSET_SHIFT in the kernel). */
#define REF_CTR_OFFSET (0x1008ULL << 32)

int main(int argc, char **argv)
{
    struct perf_event_attr attr;
    FILE *type = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
    unsigned kind;

    if (argc != 3 || !type || fscanf(type, "%u", &kind) != 1)
        return 2;
    fclose(type);
    memset(&attr, 0, sizeof attr);
    attr.type = kind;
    attr.size = sizeof attr;
    attr.config = REF_CTR_OFFSET;
    attr.config1 = (uintptr_t)argv[1];
    attr.config2 = strtoull(argv[2], NULL, 0);
    attr.disabled = 1;
    if (syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0UL) < 0) {
        perror("perf_event_open");
        return 1;
    }
    puts("up");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
