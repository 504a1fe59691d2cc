/* Reads 8 kHz mono 16-bit little-endian samples from standard input; prints every digit that spandsp hears. */

#include <stdint.h>
#include <stdio.h>
#include <spandsp.h>

int main(void)
{
    int16_t samples[160];
    char digits[128];
    size_t count;
    dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, NULL, NULL);
    if (receiver == NULL)
        return 1;
    while ((count = fread(samples, sizeof samples[0], 160, stdin)) > 0) {
        dtmf_rx(receiver, samples, (int) count);
        if (dtmf_rx_get(receiver, digits, sizeof digits - 1) > 0)
            fputs(digits, stdout);
    }
    putchar('\n');
    dtmf_rx_free(receiver);
    return 0;
}
