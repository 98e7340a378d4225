/*
 * nearest.c - the name that was probably meant: the fewest edits away, at most three, or the one
 * that the word is the beginning of.
 */
#include "base/text.h"

#include <string.h>

const char *mill_nearest(const char *word, const char *const *names, int n)
{
    const char *nearest = NULL;
    int least = 4;

    for (int i = 0; i < n; i++) {
        int d = text_edits(word, strlen(word), names[i], strlen(names[i]));
        if (d > 1 && strlen(word) > 2 && !strncmp(word, names[i], strlen(word)))
            d = 1; /* a beginning */
        if (d < least && d < (int)strlen(word)) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}
