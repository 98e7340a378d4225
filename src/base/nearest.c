/*
 * nearest.c - the name that was probably meant: the fewest edits away, at most three and no more
 * than one for every three letters, or the one that the word is the beginning of.
 */
#include "base/text.h"

#include <string.h>

const char *mill_nearest(const char *word, const char *const *names, int n)
{
    const int letters = (int)strlen(word), most = (letters + 2) / 3 < 3 ? (letters + 2) / 3 : 3;
    const char *nearest = NULL;
    int least = most + 1;

    for (int i = 0; i < n; i++) {
        int d = text_edits(word, (size_t)letters, names[i], strlen(names[i]));
        if (d > 1 && letters > 2 && !strncmp(word, names[i], (size_t)letters))
            d = 1; /* a beginning */
        if (d < least && d < letters) {
            least = d;
            nearest = names[i];
        }
    }
    return nearest;
}
