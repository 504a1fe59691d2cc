/* Codes 16 kHz mono 16-bit little-endian samples from standard input as G.722 of 64 kbit/s, and writes what is decoded
   of it. */

#include <stdint.h>
#include <stdio.h>
#include <spandsp.h>

int main(void)
{
    int16_t samples[320];
    int16_t decoded[640];
    uint8_t code[320];
    size_t count;
    g722_encode_state_t *encoder = g722_encode_init(NULL, 64000, 0);
    g722_decode_state_t *decoder = g722_decode_init(NULL, 64000, 0);
    if (encoder == NULL || decoder == NULL)
        return 1;
    while ((count = fread(samples, sizeof samples[0], 320, stdin)) > 0) {
        int length = g722_encode(encoder, code, samples, (int) count);
        length = g722_decode(decoder, decoded, code, length);
        if (fwrite(decoded, sizeof decoded[0], (size_t) length, stdout) != (size_t) length)
            return 1;
    }
    g722_encode_free(encoder);
    g722_decode_free(decoder);
    return 0;
}
