/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes bcrypt out of the register figure, which is about durable writes: preloaded into httpd
 * by bench.py, it stands before APR's function and gives a constant that no password
 * matches. No part of the product.
 */
#include <stddef.h>
#include <stdio.h>

int apr_bcrypt_encode(const char *password, unsigned int cost, const unsigned char *salt,
                      size_t salt_bytes, char *out, size_t out_bytes)
    __attribute__((visibility("default")));

int apr_bcrypt_encode(const char *password, unsigned int cost, const unsigned char *salt,
                      size_t salt_bytes, char *out, size_t out_bytes)
{
    (void)password;
    (void)salt;
    (void)salt_bytes;
    snprintf(out, out_bytes, "$2y$%02u$%s", cost,
             "abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZabcde");
    return 0;
}
