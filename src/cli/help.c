/* help.c - what --help prints, from the rows alone. */
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 34, WIDTH = 100 };

/* Prints `text` from column `at` on, wrapped, later lines indented to HELP_COLUMN. */
static void print_wrapped(const char *text, int at)
{
    for (const char *word = text; *word;) {
        const int n = (int)strcspn(word, " ");

        if (word > text && at + 1 + n > WIDTH) {
            printf("\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        } else if (word > text) {
            putchar(' ');
            at++;
        }
        printf("%.*s", n, word);
        at += n;
        word += n + (word[n] == ' ');
    }
    putchar('\n');
}

static const char *value_name(const opt_group *g, const opt_row *r)
{
    if (!g->names_methods && r->value) return r->value;
    switch (r->kind) {
    case OPT_INT:
        return "N";
    case OPT_REAL:
        return "X";
    case OPT_SIZE:
        return "SIZE";
    case OPT_DIMS:
        return "N,N";
    default:
        return "TEXT";
    }
}

static void print_row(const opt_group *g, const opt_row *r)
{
    char left[120], help[400], def[64] = "", who[80] = "";
    int n = r->letter ? snprintf(left, sizeof left, "  -%c, ", r->letter)
                      : snprintf(left, sizeof left, "      ");

    n += snprintf(left + n, sizeof left - (size_t)n, r->kind == OPT_BOOL ? "--[no-]%s" : "--%s",
                  opt_name(g, r));
    if (r->kind != OPT_BOOL && r->kind != OPT_FLAG)
        n += snprintf(left + n, sizeof left - (size_t)n, " %s", value_name(g, r));
    if (r->def && r->kind == OPT_BOOL)
        snprintf(def, sizeof def, "default %s", strcmp(r->def, "0") ? "on" : "off");
    else if (r->def && *r->def && r->kind != OPT_FLAG)
        snprintf(def, sizeof def, "default %s", r->def);
    if (g->names_methods && strcmp(r->value, "all") != 0) snprintf(who, sizeof who, "%s", r->value);
    snprintf(help, sizeof help, "%s%s%s%s%s%s", r->help, *who || *def ? " (" : "", who,
             *who && *def ? "; " : "", def, *who || *def ? ")" : "");
    printf("%s", left);
    if (n + 1 < HELP_COLUMN)
        printf("%*s", HELP_COLUMN - n, "");
    else
        printf("\n%*s", HELP_COLUMN, "");
    print_wrapped(help, HELP_COLUMN);
}

void opt_help(const opt_set *set)
{
    printf("usage: tabmill %s\n\n%s\n", set->usage, set->about);
    for (int g = 0; g < set->n_groups; g++) {
        const opt_group *group = &set->group[g];

        printf("\n%s:\n", group->title);
        for (const opt_row *r = group->row; r->name; r++) print_row(group, r);
        if (g == set->n_groups - 1) printf("  -h, --help%*sthis text\n", HELP_COLUMN - 12, "");
    }
}
