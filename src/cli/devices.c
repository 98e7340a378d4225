/* devices.c - `tabmill devices`: processors, levels, memory, GPUs, what is usable and why not. */
#include "cli/cli.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const opt_row rows[] = {{0}}; /* nothing to choose */

static const opt_group groups[] = {{.title = "Options", .row = rows}};
const opt_set devices_set = {
    .command = "devices",
    .usage = "devices",
    .about = "List processors, levels, memory and GPUs, what is usable, and why not.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
};

static void print_processor(void)
{
    const bool is_v4 = mill_cpu_level() >= MILL_V4;
    char size[32];

    printf("processor  %s\n", mill_cpu_model());
    printf("level      %s in use\n", mill_cpu_level_name());
    printf("  v3       AVX2, FMA: usable\n");
    printf("  v4       AVX-512: %s\n",
           is_v4 ? "usable" : "not on this processor, or TABMILL_ISA forbids it");
    printf("  v4-bf16  bfloat16 products: %s\n",
           mill_cpu_has_bf16()
               ? "usable"
               : "not on this processor, or TABMILL_ISA forbids it; --amp bf16 is not faster");
    printf("threads    %d allowed of %ld online\n", mill_cpu_count(),
           sysconf(_SC_NPROCESSORS_ONLN));
    printf("memory     %s\n", mill_format_size(size, (double)mill_cpu_memory_bytes()));
#ifdef MILL_ONEDNN
    printf("products   oneDNN, and kernels of our own for small ones\n");
#else
    printf("products   kernels of our own; this build has no oneDNN (package libdnnl-dev)\n");
#endif
}

/* The driver lists a folder for each GPU; its file `information` names the model. */
static int print_gpus(void)
{
    static const char root[] = "/proc/driver/nvidia/gpus";
    char **names, path[512], *text;
    size_t len;
    int n = 0;

    if (!file_exists(root) || file_list(&names, &n, root)) return 0;
    for (int i = 0; i < n; i++) {
        const char *model = NULL;

        snprintf(path, sizeof path, "%s/%s/information", root, names[i]);
        if (file_read_all(&text, &len, path)) continue;
        if ((model = strstr(text, "Model:"))) model += 6 + strspn(model + 6, " \t");
        printf("gpu %d      %.*s at %s: not usable, this build has no CUDA back end\n", i,
               model ? (int)strcspn(model, "\n") : 7, model ? model : "unknown", names[i]);
        mill_free(text);
    }
    mill_free(names);
    return n;
}

int cmd_devices(int argc, char **argv)
{
    char none;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &devices_set, &none, argc, argv) == OPT_STOP) return status;
    print_processor();
    if (!print_gpus()) printf("gpu        none (the CPU does everything in this build)\n");
    opt_free(&p);
    return 0;
}
