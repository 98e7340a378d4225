/*
 * nvml.h - what NVIDIA's driver says of its GPUs: libnvidia-ml.so.1, opened at run time.
 *
 * No header and no library is needed to build; where there is none, there are no GPUs. TABMILL_NVML
 * names another file (tests have one that pretends).
 *
 * A device is a GPU, or an instance of one that is divided (MIG); instances follow their GPU. Which
 * there are is found out when it is opened.  The driver tells memory and processes of an instance;
 * temperature, power and errors are the GPU's.
 */
#ifndef MILL_RANK_NVML_H
#define MILL_RANK_NVML_H

#include "base/err.h"
#include <stdint.h>

enum { NVML_MAX_GPUS = 128, NVML_TEXT = 96, NVML_MAX_PIDS = 128 }; /* instances count as well */

/* Numbers that the GPU does not tell are negative. */
typedef struct {
    char name[NVML_TEXT], uuid[NVML_TEXT];
    int gpu, instance;        /* instance: -1 for the GPU itself */
    int cuda_index;           /* among CUDA_VISIBLE_DEVICES; -1: not visible, or not known */
    double temperature;       /* degrees Celsius */
    double busy, memory_busy; /* percent of the time that a kernel, a copy was under way */
    double used_bytes, total_bytes;
    double power, power_limit;     /* watts */
    double energy;                 /* joules since the driver was loaded */
    double sm_clock, memory_clock; /* MHz */
    double throttle;               /* bits; 0 and 1 (idle) are none */
    double pcie_tx, pcie_rx;       /* KB/s */
    double nvlink_tx, nvlink_rx;   /* KiB of data over all links since the driver was loaded */
    double fan, encoder;           /* percent: of the fan's full speed; as busy */
    double memory_errors;          /* that ECC could not correct, since the driver was loaded */
    double pcie_replays;           /* packets sent again, likewise */
    double xid;       /* the driver's last error of this GPU since nvml_open; 0: none */
    double processes; /* that compute */
    int n_pids;       /* of these; 0 when there are too many for the list */
    unsigned pid[NVML_MAX_PIDS];
} nvml_sample;

typedef struct nvml nvml;

/* MILL_EDEVICE, with the reason, where there is no library or no driver. */
mill_err nvml_open(nvml **out);
void nvml_close(nvml *n);      /* NULL is allowed */
int nvml_count(const nvml *n); /* devices */
void nvml_read(nvml *n, int device, nvml_sample *out);

#endif
