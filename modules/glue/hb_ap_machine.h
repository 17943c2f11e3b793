/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hb_ap_machine.h
 * How busy the machine and the server are, for health, metrics and server-status.
 */
#ifndef HB_AP_MACHINE_H
#define HB_AP_MACHINE_H

#include <apr.h>

typedef struct hb_ap_machine_t {
    int memory_percent;         /* of the machine, in use and not given back on demand; -1 unknown */
    int cpu_percent;            /* load of the last minute over its processors, at most 100; -1 */
    apr_int64_t memory_bytes;   /* of all processes of this server; shared pages once */
    int files;                  /* open in this process; -1 unknown */
    int children;
    int threads_busy, threads_idle;
} hb_ap_machine_t;

/** Reads /proc and httpd's scoreboard. Does not wait. */
void hb_ap_machine_read(hb_ap_machine_t *machine);

#endif /* HB_AP_MACHINE_H */
